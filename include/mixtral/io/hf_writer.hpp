// Writes any checkpoint as a Hugging Face directory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>

#include "mixtral/core/dtype.hpp"
#include "mixtral/core/executor.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/convert.hpp"

namespace mixtral {

struct HfOptions {
  /// A plain type for all tensors. Unset: that of the source's embedding, or bf16 when that isn't plain.
  std::optional<DType> dtype = {};
  std::size_t max_shard_bytes = 5'000'000'000;
  /// Called between steps; false stops with Error(cancelled).
  std::function<bool(const ConvertProgress&)> on_progress = {};
};

/// Writes `source` under the names and in the order of the published models, with the files that
/// transformers reads: config.json, generation_config.json, the tokenizer, shards and their index. A tensor
/// that has its type already keeps its bits; others are widened to f32 and rounded. The bytes depend on
/// source, type and shard size alone. Takes memory for a few tiles per thread, and for up to 8 tensors
/// where the source has to decode them. The directory appears under its name when it is complete; a killed
/// process leaves one of that name and ".tmp-".
/// Throws Error(invalid_argument) when `directory` exists or the type is quantised, Error(io) when the
/// disk has too little room or can't be written; then nothing is left behind.
ConvertReport write_hf_checkpoint(const Checkpoint& source, const std::filesystem::path& directory,
                                  const HfOptions& options, Executor& executor);

}  // namespace mixtral

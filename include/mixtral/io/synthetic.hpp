// Checkpoints of random weights in a true shape, for benchmarks and tests without a download.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "mixtral/core/config.hpp"
#include "mixtral/core/dtype.hpp"
#include "mixtral/core/executor.hpp"

namespace mixtral {

struct SyntheticProgress {
  std::size_t done;   ///< bytes of tensors written so far
  std::size_t total;  ///< bytes of all tensors
};

struct SyntheticOptions {
  DType dtype = DType::bf16;  ///< a plain type
  std::uint64_t seed = 0;
  std::size_t max_shard_bytes = 5'000'000'000;
  std::function<bool(const SyntheticProgress&)> on_progress;  ///< false stops with Error(cancelled)
};

/// Writes a Hugging Face directory of `config` without a tokenizer. Weights are normal with standard
/// deviation 1/sqrt(fan_in), smaller where a matrix adds to the residual stream, so that activations
/// keep their size; norm weights are close to 1. The bytes depend on config, dtype and seed alone.
/// Takes about 32 MiB of memory. The directory appears under its name when it is complete.
/// Throws Error(invalid_argument) when `directory` exists, config is invalid or the type is quantised,
/// Error(io) when the disk has too little room or can't be written; then nothing is left behind.
void write_synthetic_checkpoint(const std::filesystem::path& directory, const Config& config,
                                const SyntheticOptions& options, Executor& executor);

}  // namespace mixtral

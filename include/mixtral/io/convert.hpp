// Packs any checkpoint into a native file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <vector>

#include "mixtral/core/dtype.hpp"
#include "mixtral/core/executor.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/recipe.hpp"

namespace mixtral {

struct ConvertProgress {
  std::size_t done;   ///< bytes of weights written so far
  std::size_t total;  ///< bytes of all weights
};

struct ConvertOptions {
  /// Called between steps; false stops with Error(cancelled).
  std::function<bool(const ConvertProgress&)> on_progress = {};
};

/// Tensors that got another type than the recipe gave them, because their width doesn't fit its blocks.
struct Substitution {
  DType asked_for, used;
  std::size_t width;
  std::size_t n_tensors;
};

struct ConvertReport {
  std::size_t n_weights = 0;  ///< elements of all tensors
  std::size_t weight_bytes = 0;
  std::vector<Substitution> substitutions = {};

  double bits_per_weight() const noexcept {
    return 8.0 * static_cast<double>(weight_bytes) / static_cast<double>(n_weights);
  }
};

/// Writes `source`, with its files, to a native file `path` in the types of `recipe`. A tensor that has
/// its type already keeps its bits; others are widened to f32 and rounded. The bytes depend on source and
/// recipe alone. Takes memory for a few tiles per thread, less than one matrix of a large model. The file
/// appears under its name when it is complete, and replaces the old one; until then it has a name
/// that begins with that and ".tmp-", which stays behind when the process is killed.
/// Throws Error as apply_recipe does, Error(io) when the disk has too little room or can't be written; then
/// an old file is as it was.
ConvertReport convert_checkpoint(const Checkpoint& source, const std::filesystem::path& path,
                                 const Recipe& recipe, const ConvertOptions& options,
                                 Executor& executor);

}  // namespace mixtral

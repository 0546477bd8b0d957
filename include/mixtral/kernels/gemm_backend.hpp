// The interface to libraries that multiply matrices.
#pragma once

#include <cstddef>
#include <string_view>

#include "mixtral/core/dtype.hpp"
#include "mixtral/kernels/table.hpp"

namespace mixtral {

/// Library that multiplies matrices when prompts are processed.
enum class GemmKind { native, onednn, openblas, eigen };

/// "native", "onednn", "openblas" or "eigen".
std::string_view name_of(GemmKind kind) noexcept;

/// True when this build has it.
bool is_available(GemmKind kind) noexcept;

/// A library that computes the products of prompts instead of the native kernels.
class GemmBackend {
 public:
  virtual ~GemmBackend() = default;

  /// Rows of weights that one call gets: one task of the executor.
  virtual std::size_t tile_rows() const noexcept = 0;

  /// Fewer tokens than this go to the native kernels.
  virtual std::size_t min_tokens() const noexcept = 0;

  /// Computes `args` in the calling thread. Called by many threads at once.
  /// Throws Error when the library fails.
  virtual void multiply(const GemmArgs& args, DType weights, DType activations) const = 0;
};

}  // namespace mixtral

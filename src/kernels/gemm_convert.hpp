// Brings the operands of a product into the contiguous f32 matrices that a BLAS reads.
#pragma once

#include <cstddef>

#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/table.hpp"

namespace mixtral::detail {

/// The weights [n_rows, depth] widened to f32.
inline AlignedBuffer<float> widen_weights(const GemmArgs& args, DType dtype,
                                          const KernelTable& kernels) {
  AlignedBuffer<float> wide(args.n_rows * args.depth);
  for (std::size_t r = 0; r < args.n_rows; ++r) {
    kernels.widen[static_cast<std::size_t>(dtype)](args.weights + r * args.weight_stride,
                                                   args.depth, wide.data() + r * args.depth);
  }
  return wide;
}

inline const std::byte* activation_row(const GemmArgs& args, std::size_t token) noexcept {
  const std::size_t row = args.activation_rows == nullptr ? token : args.activation_rows[token];
  return args.activations + row * args.activation_stride;
}

/// The tokens' activations [n_tokens, depth], gathered and widened to f32.
inline AlignedBuffer<float> gather_activations(const GemmArgs& args, DType dtype,
                                               const KernelTable& kernels) {
  AlignedBuffer<float> wide(args.n_tokens * args.depth);
  for (std::size_t t = 0; t < args.n_tokens; ++t) {
    kernels.widen[static_cast<std::size_t>(dtype)](activation_row(args, t), args.depth,
                                                   wide.data() + t * args.depth);
  }
  return wide;
}

}  // namespace mixtral::detail

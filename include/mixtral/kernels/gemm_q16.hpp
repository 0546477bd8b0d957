// Matrix product of quantised weights and activations in 16 bits: each token counts as two of 8 bits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mixtral/kernels/row_gemm.hpp"
#include "mixtral/kernels/tiled_gemm_q8.hpp"
#include "mixtral/quant/activations.hpp"

namespace mixtral::kernels {
namespace detail {

/// Adds up what `q8`, a product of weights whose weight_stride goes over kStrideRows rows, gives for the coarse and the
/// fine blocks.
template <class Arch, std::size_t kStrideRows, class Q8>
void gemm_q16(const GemmArgs& args, Q8 q8) noexcept {
  static_assert(sizeof(quant::Q16Activations) == 2 * sizeof(quant::Q8Activations));
  constexpr std::size_t kTokens = kTiledTokens<Arch> / 2;
  for (std::size_t row = 0; row < args.n_rows; row += kTileRows) {
    for (std::size_t first = 0, n_tokens = 0; first < args.n_tokens; first += n_tokens) {
      n_tokens = even_block(args.n_tokens - first, kTokens);
      std::uint32_t halves[2 * kTokens];
      for (std::size_t t = 0; t < n_tokens; ++t) {
        const std::size_t token = first + t;
        halves[2 * t] = 2 * (args.activation_rows ? args.activation_rows[token] : static_cast<std::uint32_t>(token));
        halves[2 * t + 1] = halves[2 * t] + 1;
      }
      float out[2 * kTokens][kTileRows];
      GemmArgs part = args;
      part.weights = args.weights + row / kStrideRows * args.weight_stride;
      part.activation_rows = halves;
      part.out = out[0];
      part.out_stride = kTileRows;
      part.n_rows = std::min(args.n_rows - row, kTileRows);
      part.n_tokens = 2 * n_tokens;
      q8(part);
      for (std::size_t t = 0; t < n_tokens; ++t) {
        float* to = args.out + (first + t) * args.out_stride + row;
        for (std::size_t r = 0; r < part.n_rows; ++r) to[r] = out[2 * t][r] + out[2 * t + 1][r];
      }
    }
  }
}

}  // namespace detail

/// tiled_gemm_q8 with Q16Activations.
template <class Arch, class F>
void tiled_gemm_q16(const GemmArgs& args) noexcept {
  detail::gemm_q16<Arch, kTileRows>(args, &tiled_gemm_q8<Arch, F>);
}

/// row_gemm_q8 with Q16Activations.
template <class Arch, class F>
void row_gemm_q16(const GemmArgs& args) noexcept {
  detail::gemm_q16<Arch, 1>(args, &row_gemm_q8<Arch, F>);
}

}  // namespace mixtral::kernels

// Product of tiled weights and activations in bf16.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mixtral/kernels/tiles.hpp"
#include "mixtral/quant/activations.hpp"
#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"
#include "mixtral/simd/dot.hpp"
#include "mixtral/simd/int8.hpp"

namespace mixtral::kernels {
namespace detail {

/// Tokens whose sums stay in registers together: as many as hide the latency of the products.
inline constexpr std::size_t kBf16Tokens = 8;

/// Blocks of activations that pass by, for all tokens, while their weights are in the L1 cache.
inline constexpr std::size_t kBf16Blocks = 4;

/// Adds to the sums of kTokens tokens, `sums` and the following, what n_pairs pairs of elements from `tile` on
/// contribute, for kRowGroup rows from `row` on. The first activations are those at `x`, the next block's
/// `stride` bytes behind.
template <class Arch, std::size_t kTokens>
__attribute__((noinline)) void add_pairs(const std::byte* tile, std::size_t n_pairs,
                                         const std::byte* const* x, std::size_t stride, std::size_t row,
                                         NextWeights& next, float (*sums)[kTileRows]) noexcept {
  using Pairs = quant::TileBlock<Arch, quant::BF16Pairs>;
  constexpr std::size_t kBlockPairs = quant::BF16Activations::kElements / 2;
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  simd::Vec<Arch> totals[kTokens][kRowVectors];
#pragma GCC unroll 8
  for (std::size_t t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kRowVectors; ++v) totals[t][v] = simd::load<Arch>(sums[t] + row + v * kWidth);
  }
  for (std::size_t p = 0; p < n_pairs; p += kBlockPairs) {
    const std::byte* block[kTokens];
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kTokens; ++t) block[t] = x[t] + p / kBlockPairs * stride;
    const std::size_t n = std::min(n_pairs - p, kBlockPairs);
    for (std::size_t j = 0; j < n; ++j, tile += Pairs::kBytes) {
      next.fetch_share();
      simd::Words<Arch> weights[kRowVectors];
#pragma GCC unroll 2
      for (std::size_t v = 0; v < kRowVectors; ++v) {
        weights[v] = Pairs{tile, row + v * kWidth, quant::kNoPrefetch}.words(0, 0);
      }
#pragma GCC unroll 8
      for (std::size_t t = 0; t < kTokens; ++t) {
        std::uint32_t pair;
        __builtin_memcpy(&pair, block[t] + sizeof pair * j, sizeof pair);
        const simd::Words<Arch> both = simd::broadcast_word<Arch>(pair);
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kRowVectors; ++v) {
          totals[t][v] = simd::PairDot<Arch>::step(totals[t][v], weights[v], both);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (std::size_t t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kRowVectors; ++v) simd::store<Arch>(sums[t] + row + v * kWidth, totals[t][v]);
  }
}

}  // namespace detail

/// Tiled bf16 weights and BF16Activations: pairs of products added to f32 sums (VDPBF16PS).
template <class Arch>
void tiled_gemm_bf16(const GemmArgs& args) noexcept {
  constexpr std::size_t kPairBytes = quant::TileBlock<Arch, quant::BF16Pairs>::kBytes;
  constexpr std::size_t kBlockPairs = quant::BF16Activations::kElements / 2;
  constexpr std::size_t kPairs = detail::kBf16Blocks * kBlockPairs;
  const std::size_t n_pairs = args.depth / 2;
  detail::for_each_tile<Arch>(args, [&](const std::byte* tile, const detail::TokenGroup<Arch>& tokens,
                                        detail::TileSums<Arch>& sums) {
    const std::size_t n_blocks = (tokens.size + detail::kBf16Tokens - 1) / detail::kBf16Tokens;
    for (std::size_t p = 0; p < n_pairs; p += kPairs, tile += kPairs * kPairBytes) {
      const std::size_t n = std::min(n_pairs - p, kPairs);
      detail::NextWeights next(reinterpret_cast<std::uintptr_t>(tile) + args.ahead, n * kPairBytes,
                               n * n_blocks * (kTileRows / kRowGroup<Arch>));
      const std::byte* column = args.activations + p / kBlockPairs * args.activation_stride;
      for (std::size_t t = 0, n_tokens = 0; t < tokens.size; t += n_tokens) {
        n_tokens = detail::even_block(tokens.size - t, detail::kBf16Tokens);
        const std::byte* x[detail::kBf16Tokens];
        for (std::size_t i = 0; i < n_tokens; ++i) {
          x[i] = column + tokens.rows[t + i] * sizeof(quant::BF16Activations);
        }
        detail::with_constant<1, detail::kBf16Tokens>(n_tokens, [&]<std::size_t kTokens>() {
          for (std::size_t row = 0; row < kTileRows; row += kRowGroup<Arch>) {
            detail::add_pairs<Arch, kTokens>(tile, n, x, args.activation_stride, row, next, sums.values + t);
          }
        });
      }
    }
  });
}

}  // namespace mixtral::kernels

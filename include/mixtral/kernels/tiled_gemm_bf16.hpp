// Product of tiled weights and activations in bf16.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/kernels/tiles.hpp"
#include "mixtral/quant/activations.hpp"
#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"
#include "mixtral/simd/dot.hpp"
#include "mixtral/simd/int8.hpp"

namespace mixtral::kernels {

/// Tiled bf16 weights and BF16Activations: pairs of products added to f32 sums (VDPBF16PS).
template <class Arch>
void tiled_gemm_bf16(const GemmArgs& args) noexcept {
  using Vec = simd::Vec<Arch>;
  using Dot = simd::PairDot<Arch>;
  using Pairs = quant::TileBlock<Arch, quant::BF16Pairs>;
  constexpr std::size_t kPairs = 8;  // of the depth that stay in registers for 32 rows
  constexpr std::size_t kVectors = kRowVectors;
  const std::size_t n_pairs = args.depth / 2;
  detail::for_each_tile(args, [&](const std::byte* tile, const detail::TokenGroup& tokens,
                                  detail::TileSums& sums) {
    for (std::size_t p = 0; p < n_pairs; p += kPairs) {
      constexpr std::size_t kBlockPairs = quant::BF16Activations::kElements / 2;
      const auto* column = reinterpret_cast<const quant::BF16Activations*>(
          args.activations + p / kBlockPairs * args.activation_stride);
      const std::size_t n = n_pairs - p < kPairs ? n_pairs - p : kPairs;
      for (std::size_t row = 0; row < kTileRows; row += kRowGroup<Arch>) {
        simd::Words<Arch> weights[kPairs][kVectors];
#pragma GCC unroll 8
        for (std::size_t j = 0; j < kPairs; ++j) {
#pragma GCC unroll 2
          for (std::size_t v = 0; v < kVectors; ++v) {
            const Pairs pairs{tile + (p + j) * Pairs::kBytes, row + v * simd::kWidth<Arch>,
                                args.ahead};
            weights[j][v] = j < n ? pairs.words(0, 0) : simd::broadcast_word<Arch>(0);
          }
        }
        for (std::size_t t = 0; t < tokens.size; ++t) {
          const BF16* x = column[tokens.rows[t]].values + 2 * (p % kBlockPairs);
          float* to = sums.values[t] + row;
          Vec total[kVectors];
#pragma GCC unroll 2
          for (std::size_t v = 0; v < kVectors; ++v) {
            total[v] = simd::load<Arch>(to + v * simd::kWidth<Arch>);
          }
#pragma GCC unroll 8
          for (std::size_t j = 0; j < kPairs; ++j) {
            std::uint32_t pair;
            __builtin_memcpy(&pair, x + 2 * j, sizeof pair);
            const simd::Words<Arch> both = simd::broadcast_word<Arch>(pair);
#pragma GCC unroll 2
            for (std::size_t v = 0; v < kVectors; ++v) {
              total[v] = Dot::step(total[v], weights[j][v], both);
            }
          }
#pragma GCC unroll 2
          for (std::size_t v = 0; v < kVectors; ++v) {
            simd::store<Arch>(to + v * simd::kWidth<Arch>, total[v]);
          }
        }
      }
    }
  });
}

}  // namespace mixtral::kernels

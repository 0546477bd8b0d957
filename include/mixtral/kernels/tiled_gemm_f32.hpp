// Product of tiled weights, widened, and activations in f32.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mixtral/kernels/tiles.hpp"
#include "mixtral/quant/activations.hpp"
#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::kernels {
namespace detail {

/// As many elements of the depth of a tile as a block of activations has, in f32.
struct WideWeights {
  alignas(64) float values[quant::F32Activations::kElements][kTileRows];
};

/// The first n <= 32 elements from 32 * index on, of kWidth rows from `row` on.
template <class Arch, class F>
void widen_weights(const std::byte* tile, std::size_t index, std::size_t n, std::size_t row,
                   float (*out)[kTileRows]) noexcept {
  using Block = quant::TileBlock<Arch, F>;
  const auto store = [&](std::size_t k, simd::Vec<Arch> value) { simd::store<Arch>(out[k] + row, value); };
  if constexpr (F::kDType == DType::bf16) {
    for (std::size_t j = 0; j < n / 2; ++j) {
      const Block block{tile + (16 * index + j) * Block::kBytes, row, quant::kNoPrefetch};
      const simd::Words<Arch> pair = block.words(0, 0);
      store(2 * j, simd::as_float<Arch>(pair << 16));
      store(2 * j + 1,
            simd::as_float<Arch>(pair & simd::broadcast_word<Arch>(0xffff0000u)));
    }
  } else {
    constexpr std::size_t kPerBlock = F::kElements / 32;
    quant::Unpacked<Arch> weights;
    weights.template unpack<F>({tile + index / kPerBlock * Block::kBytes, row, quant::kNoPrefetch},
                               index % kPerBlock);
    for (std::size_t k = 0; k < 32; ++k) {
      const simd::Words<Arch> byte = (weights.quants[k / 4] >> static_cast<int>(k % 4 * 8)) &
                                     simd::broadcast_word<Arch>(255);
      const std::size_t s = k / F::kScaleElements;
      simd::Vec<Arch> value =
          simd::to_float<Arch>(byte) - simd::broadcast<Arch>(static_cast<float>(F::kZero));
      value = value * weights.scales[s];
      if constexpr (F::kHasMin) value = value - weights.mins[s];
      store(k, value);
    }
  }
}

/// Adds to the sums of kTokens tokens, `sums` and the following, n elements of kVectors * kWidth rows from
/// `row` on. Not inline: the compiler would move weights into registers that the sums need.
template <class Arch, std::size_t kVectors, std::size_t kTokens>
__attribute__((noinline)) void add_wide(const WideWeights& weights, std::size_t n,
                                        const float* const* x, std::size_t row,
                                        float (*sums)[kTileRows]) noexcept {
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  simd::Vec<Arch> totals[kTokens][kVectors];
#pragma GCC unroll 8
  for (std::size_t t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) {
      totals[t][v] = simd::load<Arch>(sums[t] + row + v * kWidth);
    }
  }
  for (std::size_t k = 0; k < n; ++k) {
    simd::Vec<Arch> w[kVectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) {
      w[v] = simd::load<Arch>(weights.values[k] + row + v * kWidth);
    }
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kTokens; ++t) {
      const simd::Vec<Arch> value = simd::broadcast<Arch>(x[t][k]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVectors; ++v) {
        totals[t][v] = simd::multiply_add<Arch>(w[v], value, totals[t][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (std::size_t t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) {
      simd::store<Arch>(sums[t] + row + v * kWidth, totals[t][v]);
    }
  }
}

/// add_wide for all rows, of kTokens tokens at a time while there are as many from `t` on.
template <class Arch, std::size_t kVectors, std::size_t kTokens>
__attribute__((always_inline)) inline void add_wide_blocks(const WideWeights& weights,
                                                           std::size_t n, const float* const* x,
                                                           std::size_t n_tokens, std::size_t& t,
                                                           NextWeights& next, TileSums<Arch>& sums) noexcept {
  for (; t + kTokens <= n_tokens; t += kTokens) {
    for (std::size_t row = 0; row < kTileRows; row += kVectors * simd::kWidth<Arch>) {
      next.fetch_share();
      add_wide<Arch, kVectors, kTokens>(weights, n, x + t, row, sums.values + t);
    }
  }
}

/// The activations of row `row`, elements [64 * block, 64 * block + 64).
inline __attribute__((always_inline)) const float* block_of(const GemmArgs& args, std::size_t row,
                                                            std::size_t block) noexcept {
  return reinterpret_cast<const float*>(args.activations + row * args.activation_stride +
                                        block * args.activation_block_stride);
}

/// tiled_gemm_f32 of bf16 for one token: what it widens stays in registers. Memory is read in order, so that
/// little need be fetched ahead: 1024 bytes are 1.15 times as fast as 8192, or none (AVX2).
template <class Arch>
void tiled_gemv_wide(const GemmArgs& args) noexcept {
  using Pairs = quant::TileBlock<Arch, quant::BF16Pairs>;
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  constexpr std::size_t kElements = quant::F32Activations::kElements;
  constexpr std::uintptr_t kAhead = 1024;
  const std::size_t token = args.activation_rows ? args.activation_rows[0] : 0;
  for_each_tile<Arch>(args, [&](const std::byte* tile, const TokenGroup<Arch>&, TileSums<Arch>& out) {
    simd::Vec<Arch> sums[kTileRows / kWidth];
    for (simd::Vec<Arch>& sum : sums) sum = simd::broadcast<Arch>(0.0f);
    for (std::size_t block = 0; block * kElements < args.depth; ++block) {
      const float* x = block_of(args, token, block);
      const std::size_t n = std::min(args.depth - block * kElements, kElements);
      for (std::size_t k = 0; k < n; k += 2, tile += Pairs::kBytes) {
        prefetch<Pairs::kBytes>(reinterpret_cast<std::uintptr_t>(tile) + kAhead);
        const simd::Vec<Arch> even = simd::broadcast<Arch>(x[k]);
        const simd::Vec<Arch> odd = simd::broadcast<Arch>(x[k + 1]);
#pragma GCC unroll 8
        for (std::size_t v = 0; v < kTileRows / kWidth; ++v) {
          const simd::Words<Arch> pair = Pairs{tile, v * kWidth, quant::kNoPrefetch}.words(0, 0);
          const simd::Words<Arch> upper = pair & simd::broadcast_word<Arch>(0xffff0000u);
          sums[v] = simd::multiply_add<Arch>(simd::as_float<Arch>(pair << 16), even, sums[v]);
          sums[v] = simd::multiply_add<Arch>(simd::as_float<Arch>(upper), odd, sums[v]);
        }
      }
    }
    for (std::size_t v = 0; v < kTileRows / kWidth; ++v) {
      simd::store<Arch>(out.values[0] + v * kWidth, sums[v]);
    }
  });
}

}  // namespace detail

/// Tiled weights of format F, widened, and activations in f32. args.weight_stride goes from tile to tile. Sums stay in
/// registers as in add_block.
template <class Arch, class F>
void tiled_gemm_f32(const GemmArgs& args) noexcept {
  constexpr std::size_t kTileVectors = kTileRows / simd::kWidth<Arch>;
  if (F::kDType == DType::bf16 && args.n_tokens == 1) return detail::tiled_gemv_wide<Arch>(args);
  detail::for_each_tile<Arch>(args, [&](const std::byte* tile, const detail::TokenGroup<Arch>& tokens,
                                        detail::TileSums<Arch>& sums) {
    constexpr std::size_t kElements = quant::F32Activations::kElements;
    for (std::size_t k = 0; k < args.depth; k += kElements) {
      const std::size_t n = std::min(args.depth - k, kElements);
      const float* x[kTiledTokens<Arch>];
      for (std::size_t i = 0; i < tokens.size; ++i) x[i] = detail::block_of(args, tokens.rows[i], k / kElements);
      detail::WideWeights weights;
      for (std::size_t i = 0; i < n; i += 32) {
        for (std::size_t row = 0; row < kTileRows; row += simd::kWidth<Arch>) {
          detail::widen_weights<Arch, F>(tile, (k + i) / 32, std::min<std::size_t>(n - i, 32), row, weights.values + i);
        }
      }
      constexpr std::size_t kBytes = kElements * kTileRows * quant::kBlockBytes<F> / F::kElements;
      const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(tile) + k / kElements * kBytes;
      constexpr std::size_t kTokens = 6;  // as many sums as there are registers for
      const std::size_t n_products = tokens.size / kTokens * (kTileRows / kRowGroup<Arch>);
      detail::NextWeights next(address + args.ahead, kBytes, std::max<std::size_t>(n_products, 1));
      std::size_t t = 0;
      detail::add_wide_blocks<Arch, kRowVectors, kTokens>(weights, n, x, tokens.size, t, next, sums);
      detail::add_wide_blocks<Arch, kTileVectors, 3>(weights, n, x, tokens.size, t, next, sums);
      detail::add_wide_blocks<Arch, kTileVectors, 2>(weights, n, x, tokens.size, t, next, sums);
      detail::add_wide_blocks<Arch, kTileVectors, 1>(weights, n, x, tokens.size, t, next, sums);
    }
  });
}

}  // namespace mixtral::kernels

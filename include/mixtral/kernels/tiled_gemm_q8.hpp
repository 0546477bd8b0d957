// Product of tiled weights and activations in 8 bits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mixtral/kernels/group_dot.hpp"
#include "mixtral/kernels/tiled_gemv_q8.hpp"
#include "mixtral/kernels/tiles.hpp"
#include "mixtral/quant/activations.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::kernels {

/// Whether weights are unpacked by blocks of their format, and the sums of some tokens stay in registers. AVX-512 loses
/// by it where 16 weights share a scale. The shortest vectors aren't worth the minutes that these products take to
/// compile.
template <class Arch, class F>
inline constexpr bool kByBlocks =
    simd::kWidth<Arch> == 8 || (simd::kWidth<Arch> == 16 && F::kScaleElements == 32);

/// The most tokens for which weights are unpacked where they are multiplied, and not stored in between: that is faster
/// for a few, and for any number where little is to be unpacked. With 16 registers it gains nothing.
template <class Arch, class F>
inline constexpr std::size_t kFewTokens = []() -> std::size_t {
  if (simd::kWidth<Arch> != 16) return 0;
  switch (F::kDType) {
    case DType::q4_0:
    case DType::q8_0:
      return kTiledTokens<Arch>;
    case DType::q2_k:
      return 3;
    case DType::q5_0:
    case DType::q5_1:
      return 5;
    case DType::q3_k:
    case DType::q6_k:
      return 6;
    case DType::q5_k:
      return 7;
    default:
      return 8;
  }
}();

/// How many of them go together: as there are registers for their sums, beside what scales of 6 bits with mins need.
template <class F>
inline constexpr std::size_t kFewTogether = F::kHasMin && F::kElements == 256 ? 4 : 5;

namespace detail {

/// Adds to `sums` what `half` (0 or 1) of one block of the depth contributes, for kRowGroup rows of all
/// tokens, while the weights stay in registers. A block's contribution is collected in `partial` until its
/// last half, and only then multiplied by the activations' scale.
template <class Arch, class F, bool kLast>
__attribute__((always_inline)) inline void add_half(
    const quant::Unpacked<Arch> (&weights)[kRowVectors], const quant::Q8Activations* column,
    const TokenGroup<Arch>& tokens, std::size_t half, std::size_t row, TileSums<Arch>& partial,
    TileSums<Arch>& sums) noexcept {
  using Vec = simd::Vec<Arch>;
  constexpr std::size_t kVectors = kRowVectors;
  constexpr std::size_t kScales = 32 / F::kScaleElements;
  const auto quants = [&](std::size_t v, std::size_t word) { return weights[v].quants[word]; };
  for (std::size_t t = 0; t < tokens.size; ++t) {
    const quant::Q8Activations& x = column[tokens.rows[t]];
    const quant::Q8Activations* const token[] = {&x};
    Vec total[1][kVectors];
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) {
      const float* from = partial.values[t] + row + v * simd::kWidth<Arch>;
      total[0][v] = half == 0 ? simd::broadcast<Arch>(0.0f) : simd::load<Arch>(from);
    }
#pragma GCC unroll 2
    for (std::size_t s = 0; s < kScales; ++s) {
      add_groups<Arch, F>(quants, weights, token, half, s, [](std::size_t) {}, total);
    }
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) {
      float* to = (kLast ? sums : partial).values[t] + row + v * simd::kWidth<Arch>;
      if constexpr (kLast) {
        total[0][v] = simd::multiply_add<Arch>(total[0][v], simd::broadcast<Arch>(x.scale),
                                               simd::load<Arch>(to));
      }
      simd::store<Arch>(to, total[0][v]);
    }
  }
}

/// Adds to the sums of kTokens tokens, `sums` and the following, what kHalves * 32 elements of one block of
/// the depth contribute, for kRowGroup rows from `row` on: the steps of add_half, in registers. Not inline:
/// the compiler would move the weights into registers that the sums need.
template <class Arch, class F, std::size_t kHalves, std::size_t kTokens>
__attribute__((noinline)) void add_block(
    const quant::Unpacked<Arch> (&weights)[2][kRowVectors], const quant::Q8Activations* column,
    const std::uint32_t* tokens, std::size_t row, float (*sums)[kTileRows]) noexcept {
  using Vec = simd::Vec<Arch>;
  constexpr std::size_t kVectors = kRowVectors;
  constexpr std::size_t kScales = 32 / F::kScaleElements;
  const quant::Q8Activations* x[kTokens];
  for (std::size_t t = 0; t < kTokens; ++t) x[t] = &column[tokens[t]];
  Vec totals[kTokens][kVectors];
  for (auto& total : totals) {
    for (Vec& vector : total) vector = simd::broadcast<Arch>(0.0f);
  }
#pragma GCC unroll 1
  for (std::size_t group = 0; group < kHalves * kScales; ++group) {
    const quant::Unpacked<Arch>(&half)[kVectors] = weights[group / kScales];
    const auto quants = [&](std::size_t v, std::size_t word) { return half[v].quants[word]; };
    add_groups<Arch, F>(quants, half, x, group / kScales, group % kScales, [](std::size_t) {}, totals);
  }
#pragma GCC unroll 8
  for (std::size_t t = 0; t < kTokens; ++t) {
    const Vec scale = simd::broadcast<Arch>(x[t]->scale);
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) {
      float* to = sums[t] + row + v * simd::kWidth<Arch>;
      simd::store<Arch>(to, simd::multiply_add<Arch>(totals[t][v], scale, simd::load<Arch>(to)));
    }
  }
}

/// add_block for all tokens, of which as many go together as there are registers for their sums.
template <class Arch, class F, std::size_t kHalves>
__attribute__((always_inline)) inline void add_blocks(
    const quant::Unpacked<Arch> (&weights)[2][kRowVectors], const quant::Q8Activations* column,
    const TokenGroup<Arch>& tokens, std::size_t row, TileSums<Arch>& sums) noexcept {
  constexpr std::size_t kMost = simd::kWidth<Arch> == 16 ? 6 : 5;
  constexpr std::size_t kLeast = least_even_block(kFewTokens<Arch, F> + 1, kMost);
  for (std::size_t t = 0, n = 0; t < tokens.size; t += n) {
    const std::size_t left = tokens.size - t;
    // With 16 registers five go together only where one would be left alone.
    n = kMost == 6 ? even_block(left, kMost) : left == kMost ? left : std::min(left, kMost - 1);
    with_constant<kLeast, kMost>(n, [&]<std::size_t kTokens>() {
      add_block<Arch, F, kHalves, kTokens>(weights, column, tokens.rows + t, row, sums.values + t);
    });
  }
}

/// The elements [32 * index, 32 * index + 32) of the depth of kRowGroup rows.
template <class Arch, class F>
__attribute__((always_inline)) inline void unpack_rows(
    const std::byte* tile, std::uintptr_t ahead, std::size_t index, std::size_t row,
    quant::Unpacked<Arch> (&weights)[kRowVectors]) noexcept {
  constexpr std::size_t kPerBlock = F::kElements / 32;
  const std::byte* block = tile + index / kPerBlock * quant::TileBlock<Arch, F>::kBytes;
#pragma GCC unroll 2
  for (std::size_t v = 0; v < kRowVectors; ++v) {
    weights[v].template unpack<F>({block, row + v * simd::kWidth<Arch>, ahead}, index % kPerBlock);
  }
}

inline __attribute__((always_inline)) const quant::Q8Activations* column_of(
    const GemmArgs& args, std::size_t half) noexcept {
  return reinterpret_cast<const quant::Q8Activations*>(args.activations +
                                                       half / 2 * args.activation_stride);
}

/// Adds all products of a tile and some tokens to `sums`.
template <class Arch, class F>
__attribute__((always_inline)) inline void add_tile_by_halves(const GemmArgs& args,
                                                              const std::byte* tile,
                                                              const TokenGroup<Arch>& tokens,
                                                              TileSums<Arch>& sums) noexcept {
  TileSums<Arch> partial;
  const std::size_t n_halves = args.depth / 32;
  for (std::size_t h = 0; h < n_halves; ++h) {
    const quant::Q8Activations* column = column_of(args, h);
    for (std::size_t row = 0; row < kTileRows; row += kRowGroup<Arch>) {
      quant::Unpacked<Arch> weights[kRowVectors];
      unpack_rows<Arch, F>(tile, args.ahead, h, row, weights);
      if (h % 2 == 1) {
        add_half<Arch, F, true>(weights, column, tokens, 1, row, partial, sums);
      } else if (h + 1 < n_halves) {
        add_half<Arch, F, false>(weights, column, tokens, 0, row, partial, sums);
      } else {
        add_half<Arch, F, true>(weights, column, tokens, 0, row, partial, sums);
      }
    }
  }
}

/// The first kPairs * 64 elements of the depth of kRowGroup rows. A constant index and one row vector after the
/// other let the groups of a block share the work on its scales.
template <class Arch, class F, std::size_t kPairs>
__attribute__((always_inline)) inline void unpack_pairs(
    const std::byte* tile, std::size_t row,
    quant::Unpacked<Arch> (&weights)[kPairs][2][kRowVectors]) noexcept {
  constexpr std::size_t kPerBlock = F::kElements / 32;
#pragma GCC unroll 2
  for (std::size_t v = 0; v < kRowVectors; ++v) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 2 * kPairs; ++i) {
      const std::byte* block = tile + i / kPerBlock * quant::TileBlock<Arch, F>::kBytes;
      weights[i / 2][i % 2][v].template unpack<F>({block, row + v * simd::kWidth<Arch>, quant::kNoPrefetch},
                                                  i % kPerBlock);
    }
  }
}

/// The same by blocks of the format, whose weights are in the L1 cache. What will be wanted next is fetched in equal
/// shares between the products: unpacking alone would ask for more lines at once than can be on their way.
template <class Arch, class F>
__attribute__((always_inline)) inline void add_tile_by_blocks(const GemmArgs& args,
                                                              const std::byte* tile,
                                                              const TokenGroup<Arch>& tokens,
                                                              TileSums<Arch>& sums) noexcept {
  constexpr std::size_t kPairs = F::kElements > 64 ? F::kElements / 64 : 1;
  constexpr std::size_t kStepBytes = 64 * kPairs / F::kElements * quant::TileBlock<Arch, F>::kBytes;
  constexpr std::size_t kFetchedBytes = kStepBytes / (kTileRows / kRowGroup<Arch>) / kPairs;
  // As a number: the address may lie behind the last tile, where no pointer may point.
  std::uintptr_t fetched = reinterpret_cast<std::uintptr_t>(tile) + args.ahead;
  const std::size_t n_halves = args.depth / 32;
  for (std::size_t h = 0; h < n_halves; h += 2 * kPairs, tile += kStepBytes) {
    for (std::size_t row = 0; row < kTileRows; row += kRowGroup<Arch>) {
      quant::Unpacked<Arch> weights[kPairs][2][kRowVectors];
      if constexpr (F::kElements == 32) {
        if (h + 1 == n_halves) {
          unpack_rows<Arch, F>(tile, quant::kNoPrefetch, 0, row, weights[0][0]);
          add_blocks<Arch, F, 1>(weights[0], column_of(args, h), tokens, row, sums);
          continue;
        }
      }
      unpack_pairs<Arch, F>(tile, row, weights);
      for (std::size_t pair = 0; pair < kPairs; ++pair, fetched += kFetchedBytes) {
        prefetch<kFetchedBytes>(fetched);
        add_blocks<Arch, F, 2>(weights[pair], column_of(args, h + 2 * pair), tokens, row, sums);
      }
    }
  }
}

/// Adds to the sums of kTokens tokens, `sums` and the following, what kHalves * 32 elements of the block at `block`,
/// from its half `half` on, contribute.
template <class Arch, class F, std::size_t kHalves, std::size_t kTokens>
__attribute__((always_inline)) inline void add_few(const std::byte* block, std::size_t half,
                                                   const quant::Q8Activations* column,
                                                   const std::uint32_t* tokens, NextWeights& next,
                                                   float (*sums)[kTileRows]) noexcept {
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  constexpr std::size_t kVectors = kTileRows / kWidth;
  const quant::Q8Activations* x[kTokens];
  simd::Vec<Arch> totals[kTokens * kVectors];
#pragma GCC unroll 8
  for (std::size_t t = 0; t < kTokens; ++t) {
    x[t] = &column[tokens[t]];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      totals[t * kVectors + v] = simd::load<Arch>(static_cast<const float*>(sums[t] + v * kWidth));
    }
  }
  next.fetch_share();
  add_both_halves<Arch, F, kHalves, kVectors>(block, half, 0, x, [](std::size_t) {}, totals);
#pragma GCC unroll 8
  for (std::size_t t = 0; t < kTokens; ++t) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      simd::store<Arch>(sums[t] + v * kWidth, totals[t * kVectors + v]);
    }
  }
}

/// Pairs of halves of a block whose products are compiled apart, with shifts that are known then. With sanitizers that
/// would take minutes.
#ifdef MIXTRAL_SANITIZED
inline constexpr int kUnrolledPairs = 1;
#else
inline constexpr int kUnrolledPairs = 4;
#endif

/// The same for the halves [begin, end) of the depth, of which `block` holds the first.
template <class Arch, class F, std::size_t kTokens>
__attribute__((noinline)) void add_few_steps(const GemmArgs& args, const std::byte* block, std::size_t begin,
                                             std::size_t end, const std::uint32_t* tokens, NextWeights& next,
                                             float (*sums)[kTileRows]) noexcept {
  constexpr std::size_t kHalves = kStep<F> / 32;
  for (; begin + kHalves <= end; begin += kHalves, block += kStepBytes<Arch, F>) {
#pragma GCC unroll kUnrolledPairs
    for (std::size_t half = 0; half < kHalves; half += 2) {
      add_few<Arch, F, 2, kTokens>(block, half, column_of(args, begin + half), tokens, next, sums);
    }
  }
  if constexpr (F::kElements == 32) {
    if (begin < end) add_few<Arch, F, 1, kTokens>(block, 0, column_of(args, begin), tokens, next, sums);
  }
}

/// Adds all products of a tile and some tokens to `sums`, where weights are unpacked for each few of the tokens.
template <class Arch, class F>
__attribute__((always_inline)) inline void add_tile_by_few(const GemmArgs& args, const std::byte* tile,
                                                           const TokenGroup<Arch>& tokens,
                                                           TileSums<Arch>& sums) noexcept {
  constexpr std::size_t kHalves = 256 / 32;  // of the depth that stay in the L1 cache for all tokens
  constexpr std::size_t kBytes = 256 / F::kElements * quant::TileBlock<Arch, F>::kBytes;
  constexpr std::size_t kMost = kFewTogether<F>;
  const std::size_t n_blocks = (tokens.size + kMost - 1) / kMost;
  const std::size_t n_halves = args.depth / 32;
  NextWeights next(reinterpret_cast<std::uintptr_t>(tile) + args.ahead + quant::TileBlock<Arch, F>::kBytes,
                   args.depth / F::kElements * quant::TileBlock<Arch, F>::kBytes, (n_halves + 1) / 2 * n_blocks);
  for (std::size_t h = 0; h < n_halves; h += kHalves, tile += kBytes) {
    const std::size_t end = std::min(h + kHalves, n_halves);
    for (std::size_t t = 0, n = 0; t < tokens.size; t += n) {
      n = even_block(tokens.size - t, kMost);
      with_constant<2, kMost>(n, [&]<std::size_t kTokens>() {
        add_few_steps<Arch, F, kTokens>(args, tile, h, end, tokens.rows + t, next, sums.values + t);
      });
    }
  }
}

}  // namespace detail

/// Tiled weights of format F and Q8Activations: products of bytes summed exactly, their sums scaled
/// in f32. args.weight_stride goes from tile to tile, args.activation_stride from block to block.
template <class Arch, class F>
void tiled_gemm_q8(const GemmArgs& args) noexcept {
  if (args.n_tokens == 1) return detail::tiled_gemv_q8<Arch, F>(args);
  detail::for_each_tile<Arch>(args, [&](const std::byte* tile, const detail::TokenGroup<Arch>& tokens,
                                        detail::TileSums<Arch>& sums) {
    constexpr std::size_t kFew = kFewTokens<Arch, F>;
    if constexpr (kFew > 0) {
      if (tokens.size <= kFew) return detail::add_tile_by_few<Arch, F>(args, tile, tokens, sums);
    }
    if constexpr (kFew >= kTiledTokens<Arch>) {
      return;  // done
    } else if constexpr (kByBlocks<Arch, F>) {
      detail::add_tile_by_blocks<Arch, F>(args, tile, tokens, sums);
    } else {
      detail::add_tile_by_halves<Arch, F>(args, tile, tokens, sums);
    }
  });
}

}  // namespace mixtral::kernels

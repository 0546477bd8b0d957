// Matrix product of tiled weights and activations, for one token as for many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mixtral/kernels/table.hpp"
#include "mixtral/quant/activations.hpp"
#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"
#include "mixtral/simd/dot.hpp"

namespace mixtral::kernels {

/// A stretch of the depth of some rows is unpacked once, then the tokens pass by and add to their sums, which
/// stay in the L1 cache. So a weight is unpacked once per kTiledTokens tokens; 128, as many as an expert gets of a prompt
/// of 512, would leave no room beside their activations.
///
/// Every sum runs over the depth in a fixed order: no result depends on a token's neighbours.
inline constexpr std::size_t kTiledTokens = 96;

/// Vectors of rows that are unpacked together.
inline constexpr std::size_t kRowVectors = 2;

/// Whether weights are unpacked by blocks of their format, and the sums of some tokens stay in registers. AVX-512
/// has room for the weights of kRowGroup rows instead; the shortest vectors aren't worth the minutes that these
/// products take to compile.
template <class Arch>
inline constexpr bool kByBlocks = simd::kWidth<Arch> == 8;

/// Tokens whose sums stay in registers together; one more at the end, where it would be left alone.
inline constexpr std::size_t kBlockTokens = 4;

/// Rows that are unpacked together.
template <class Arch>
inline constexpr std::size_t kRowGroup = kRowVectors * simd::kWidth<Arch>;

namespace detail {

/// Some tokens' running sums for the rows of one tile.
struct TileSums {
  alignas(64) float values[kTiledTokens][kTileRows];
};

/// The tokens of one pass and where their activations lie.
struct TokenGroup {
  std::uint32_t rows[kTiledTokens];
  std::size_t size;
};

/// The group of like size as the others that begins with token `first`: for a few tokens left over, weights would be
/// unpacked as for many.
inline __attribute__((always_inline)) TokenGroup token_group(const GemmArgs& args,
                                                             std::size_t first) noexcept {
  TokenGroup group;
  const std::size_t left = args.n_tokens - first;
  const std::size_t n_groups = (left + kTiledTokens - 1) / kTiledTokens;
  group.size = (left + n_groups - 1) / n_groups;
  for (std::size_t t = 0; t < group.size; ++t) {
    group.rows[t] = args.activation_rows ? args.activation_rows[first + t]
                                         : static_cast<std::uint32_t>(first + t);
  }
  return group;
}

/// Runs tile(data, tokens, sums) for every tile and group of tokens, and stores the sums.
template <class Tile>
__attribute__((always_inline)) inline void for_each_tile(const GemmArgs& args, Tile tile) noexcept {
  for (std::size_t row = 0; row < args.n_rows; row += kTileRows) {
    const std::byte* data = args.weights + row / kTileRows * args.weight_stride;
    const std::size_t left = args.n_rows - row;
    const std::size_t n_rows = left < kTileRows ? left : kTileRows;
    for (std::size_t first = 0, next = 0; first < args.n_tokens; first = next) {
      const TokenGroup tokens = token_group(args, first);
      next += tokens.size;
      TileSums sums;
      __builtin_memset(&sums, 0, tokens.size * sizeof sums.values[0]);
      for (std::size_t t = 0; args.adds && t < tokens.size; ++t) {
        __builtin_memcpy(sums.values[t], args.out + (first + t) * args.out_stride + row,
                         n_rows * sizeof(float));
      }
      tile(data, tokens, sums);
      for (std::size_t t = 0; t < tokens.size; ++t) {
        __builtin_memcpy(args.out + (first + t) * args.out_stride + row, sums.values[t],
                         n_rows * sizeof(float));
      }
    }
  }
}

/// Sums of products of F's weights with the same scale.
template <class Arch, class F>
using GroupDot = simd::ByteDot<Arch, F::kZero, F::kLargest, F::kScaleElements / 4>;

/// The word of four bytes at `from` in all lanes.
template <class Arch>
__attribute__((always_inline)) inline simd::Words<Arch> broadcast_bytes(
    const std::int8_t* from) noexcept {
  std::uint32_t word;
  __builtin_memcpy(&word, from, sizeof word);
  return simd::broadcast_word<Arch>(word);
}

/// dots[v] = what GroupDot adds up for scale `s` of 32 elements of which quants(v, j) is word j of weights and whose
/// activations are the bytes at `x`, with the sum x_sum.
template <class Arch, class F, std::size_t kVectors, class Quants>
__attribute__((always_inline)) inline void dot_group(Quants quants, const std::int8_t* x, std::int32_t x_sum,
                                                     std::size_t s,
                                                     GroupDot<Arch, F> (&dots)[kVectors]) noexcept {
  constexpr std::size_t kWords = F::kScaleElements / 4;
#pragma GCC unroll 4
  for (GroupDot<Arch, F>& dot : dots) dot = GroupDot<Arch, F>(x_sum);
#pragma GCC unroll 8
  for (std::size_t j = 0; j < kWords; ++j) {
    const std::size_t word = s * kWords + j;
    const simd::Words<Arch> four = broadcast_bytes<Arch>(x + 4 * word);
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) dots[v].add(j, quants(v, word), four);
  }
}

/// Adds to `sums` what `half` (0 or 1) of one block of the depth contributes, for kRowGroup rows of all
/// tokens, while the weights stay in registers. A block's contribution is collected in `partial` until its
/// last half, and only then multiplied by the activations' scale.
template <class Arch, class F, bool kLast>
__attribute__((always_inline)) inline void add_half(
    const quant::Unpacked<Arch> (&weights)[kRowVectors], const quant::Q8Activations* column,
    const TokenGroup& tokens, std::size_t half, std::size_t row, TileSums& partial,
    TileSums& sums) noexcept {
  using Vec = simd::Vec<Arch>;
  constexpr std::size_t kVectors = kRowVectors;
  constexpr std::size_t kScales = 32 / F::kScaleElements;
  const auto quants = [&](std::size_t v, std::size_t word) { return weights[v].quants[word]; };
  for (std::size_t t = 0; t < tokens.size; ++t) {
    const quant::Q8Activations& x = column[tokens.rows[t]];
    const std::int32_t* x_sums = kScales == 1 ? x.sums32 + half : x.sums16 + 2 * half;
    Vec total[kVectors];
#pragma GCC unroll 2
    for (std::size_t s = 0; s < kScales; ++s) {
      GroupDot<Arch, F> dots[kVectors];
      dot_group<Arch, F>(quants, x.q + 32 * half, x_sums[s], s, dots);
#pragma GCC unroll 2
      for (std::size_t v = 0; v < kVectors; ++v) {
        const Vec product = simd::to_float<Arch>(dots[v].sums());
        const quant::Unpacked<Arch>& w = weights[v];
        if (s == 0 && half == 0) {
          total[v] = product * w.scales[s];
        } else {
          if (s == 0) {
            total[v] = simd::load<Arch>(partial.values[t] + row + v * simd::kWidth<Arch>);
          }
          total[v] = simd::multiply_add<Arch>(product, w.scales[s], total[v]);
        }
        if constexpr (F::kHasMin) {
          const Vec sum = simd::to_float<Arch>(simd::broadcast_int<Arch>(x_sums[s]));
          total[v] = simd::subtract_product<Arch>(sum, w.mins[s], total[v]);
        }
      }
    }
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) {
      float* to = (kLast ? sums : partial).values[t] + row + v * simd::kWidth<Arch>;
      if constexpr (kLast) {
        total[v] = simd::multiply_add<Arch>(total[v], simd::broadcast<Arch>(x.scale),
                                            simd::load<Arch>(to));
      }
      simd::store<Arch>(to, total[v]);
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
  constexpr std::size_t kWords = 8 / kScales;
  const quant::Q8Activations* x[kTokens];
  for (std::size_t t = 0; t < kTokens; ++t) x[t] = &column[tokens[t]];
  Vec totals[kTokens][kVectors];
  for (auto& total : totals) {
    for (Vec& vector : total) vector = simd::broadcast<Arch>(0.0f);
  }
#pragma GCC unroll 1
  for (std::size_t group = 0; group < kHalves * kScales; ++group) {
    const quant::Unpacked<Arch>(&half)[kVectors] = weights[group / kScales];
    const std::size_t s = group % kScales;
    std::int32_t x_sums[kTokens];
    GroupDot<Arch, F> dots[kTokens][kVectors];
#pragma GCC unroll 5
    for (std::size_t t = 0; t < kTokens; ++t) {
      x_sums[t] = kScales == 1 ? x[t]->sums32[group] : x[t]->sums16[group];
#pragma GCC unroll 2
      for (std::size_t v = 0; v < kVectors; ++v) dots[t][v] = GroupDot<Arch, F>(x_sums[t]);
    }
#pragma GCC unroll 8
    for (std::size_t j = 0; j < kWords; ++j) {
#pragma GCC unroll 5
      for (std::size_t t = 0; t < kTokens; ++t) {
        const simd::Words<Arch> four = broadcast_bytes<Arch>(x[t]->q + 4 * (group * kWords + j));
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kVectors; ++v) {
          dots[t][v].add(j, half[v].quants[s * kWords + j], four);
        }
      }
    }
#pragma GCC unroll 5
    for (std::size_t t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
      for (std::size_t v = 0; v < kVectors; ++v) {
        const Vec product = simd::to_float<Arch>(dots[t][v].sums());
        totals[t][v] = simd::multiply_add<Arch>(product, half[v].scales[s], totals[t][v]);
        if constexpr (F::kHasMin) {
          const Vec sum = simd::to_float<Arch>(simd::broadcast_int<Arch>(x_sums[t]));
          totals[t][v] = simd::subtract_product<Arch>(sum, half[v].mins[s], totals[t][v]);
        }
      }
    }
  }
#pragma GCC unroll 5
  for (std::size_t t = 0; t < kTokens; ++t) {
    const Vec scale = simd::broadcast<Arch>(x[t]->scale);
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) {
      float* to = sums[t] + row + v * simd::kWidth<Arch>;
      simd::store<Arch>(to, simd::multiply_add<Arch>(totals[t][v], scale, simd::load<Arch>(to)));
    }
  }
}

/// add_block for all tokens.
template <class Arch, class F, std::size_t kHalves>
__attribute__((always_inline)) inline void add_blocks(
    const quant::Unpacked<Arch> (&weights)[2][kRowVectors], const quant::Q8Activations* column,
    const TokenGroup& tokens, std::size_t row, TileSums& sums) noexcept {
  for (std::size_t t = 0; t < tokens.size;) {
    const std::size_t left = tokens.size - t;
    const std::size_t n = left == kBlockTokens + 1 ? left : std::min(left, kBlockTokens);
    const auto add = [&]<std::size_t kTokens>() {
      add_block<Arch, F, kHalves, kTokens>(weights, column, tokens.rows + t, row, sums.values + t);
    };
    if (n == kBlockTokens + 1) {
      add.template operator()<kBlockTokens + 1>();
    } else if (n == kBlockTokens) {
      add.template operator()<kBlockTokens>();
    } else if (n == 3) {
      add.template operator()<3>();
    } else if (n == 2) {
      add.template operator()<2>();
    } else {
      add.template operator()<1>();
    }
    t += n;
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
                                                              const TokenGroup& tokens,
                                                              TileSums& sums) noexcept {
  TileSums partial;
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

/// Has kBytes from `address` on fetched, to a line at least.
template <std::size_t kBytes>
__attribute__((always_inline)) inline void prefetch(std::uintptr_t address) noexcept {
#pragma GCC unroll 16
  for (std::size_t byte = 0; byte < kBytes; byte += 64) {
    __builtin_prefetch(reinterpret_cast<const void*>(address + byte));
  }
}

/// The same by blocks of the format, whose weights are in the L1 cache. What will be wanted next is fetched in equal
/// shares between the products: unpacking alone would ask for more lines at once than can be on their way.
template <class Arch, class F>
__attribute__((always_inline)) inline void add_tile_by_blocks(const GemmArgs& args,
                                                              const std::byte* tile,
                                                              const TokenGroup& tokens,
                                                              TileSums& sums) noexcept {
  constexpr std::size_t kPairs = F::kElements > 64 ? F::kElements / 64 : 1;
  constexpr std::size_t kStepBytes = 64 * kPairs / F::kElements * quant::TileBlock<Arch, F>::kBytes;
  constexpr std::size_t kFetchedBytes = kStepBytes / (kTileRows / kRowGroup<Arch>) / kPairs;
  // As a number: the address may lie behind the last tile, where no pointer may point.
  std::uintptr_t fetched = reinterpret_cast<std::uintptr_t>(tile) + args.ahead;
  const std::size_t n_halves = args.depth / 32;
  for (std::size_t h = 0; h < n_halves; h += 2 * kPairs, tile += kStepBytes) {
    for (std::size_t row = 0; row < kTileRows; row += kRowGroup<Arch>) {
      quant::Unpacked<Arch> weights[kPairs][2][kRowVectors];
      if (h + 1 == n_halves) {  // one block of 32
        unpack_rows<Arch, F>(tile, quant::kNoPrefetch, 0, row, weights[0][0]);
        add_blocks<Arch, F, 1>(weights[0], column_of(args, h), tokens, row, sums);
        continue;
      }
      unpack_pairs<Arch, F>(tile, row, weights);
      for (std::size_t pair = 0; pair < kPairs; ++pair, fetched += kFetchedBytes) {
        prefetch<kFetchedBytes>(fetched);
        add_blocks<Arch, F, 2>(weights[pair], column_of(args, h + 2 * pair), tokens, row, sums);
      }
    }
  }
}

/// How many of kVectors vectors of rows are multiplied together for one token. Whole bytes need no registers to be
/// unpacked, so that the vectors which share a cache line go together (1.2 times as fast); other formats lose by it.
template <class Arch, class F, std::size_t kVectors>
inline constexpr std::size_t kVectorsTogether =
    F::kDType == DType::q8_0 ? std::min(kVectors, kTileRows / 2 / simd::kWidth<Arch>) : 1;

/// Adds to `sums`, of one token and kVectors vectors of rows, what the elements [64 * index, 64 * index + 64) of
/// the depth contribute: the steps of add_half, in registers. The block at `block` is the one that holds
/// the first of them, at `half`; kHalves is 1 at the end of an odd depth.
template <class Arch, class F, std::size_t kHalves, std::size_t kVectors>
__attribute__((always_inline)) inline void add_both_halves(const std::byte* block, std::size_t half,
                                                           std::size_t row,
                                                           const quant::Q8Activations& x,
                                                           simd::Vec<Arch>* sums) noexcept {
  using Vec = simd::Vec<Arch>;
  constexpr std::size_t kPerBlock = F::kElements / 32;
  constexpr std::size_t kScales = 32 / F::kScaleElements;
  Vec totals[kVectors];
#pragma GCC unroll 4
  for (Vec& total : totals) total = simd::broadcast<Arch>(0.0f);
#pragma GCC unroll 2
  for (std::size_t h = 0; h < kHalves; ++h) {
    const std::size_t index = half + h;
    const auto block_of = [&](std::size_t v) {
      return quant::TileBlock<Arch, F>{block + index / kPerBlock * quant::TileBlock<Arch, F>::kBytes,
                                       row + v * simd::kWidth<Arch>, quant::kNoPrefetch};
    };
    const auto quants = [&](std::size_t v, std::size_t word) {
      return F::template quants<Arch>(block_of(v), index % kPerBlock, word);
    };
    quant::Scales<Arch> weights[kVectors];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      F::template unpack_scales<Arch>(block_of(v), index % kPerBlock, weights[v]);
    }
    const std::int32_t* x_sums = kScales == 1 ? x.sums32 + h : x.sums16 + 2 * h;
#pragma GCC unroll 2
    for (std::size_t s = 0; s < kScales; ++s) {
      GroupDot<Arch, F> dots[kVectors];
      dot_group<Arch, F>(quants, x.q + 32 * h, x_sums[s], s, dots);
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) {
        const Vec product = simd::to_float<Arch>(dots[v].sums());
        totals[v] = simd::multiply_add<Arch>(product, weights[v].scales[s], totals[v]);
        if constexpr (F::kHasMin) {
          const Vec sum = simd::to_float<Arch>(simd::broadcast_int<Arch>(x_sums[s]));
          totals[v] = simd::subtract_product<Arch>(sum, weights[v].mins[s], totals[v]);
        }
      }
    }
  }
#pragma GCC unroll 4
  for (std::size_t v = 0; v < kVectors; ++v) {
    sums[v] = simd::multiply_add<Arch>(totals[v], simd::broadcast<Arch>(x.scale), sums[v]);
  }
}

/// Elements of the depth that whole blocks of weights and of activations share.
template <class F>
inline constexpr std::size_t kStep = std::max<std::size_t>(F::kElements, 64);

template <class Arch, class F>
inline constexpr std::size_t kStepBytes = kStep<F> / F::kElements * quant::TileBlock<Arch, F>::kBytes;

/// The activations of one token, in blocks of 64 elements.
class TokenBlocks {
 public:
  /// Of the first token of `args`.
  __attribute__((always_inline)) explicit TokenBlocks(const GemmArgs& args) noexcept
      : first_(args.activations +
               (args.activation_rows ? args.activation_rows[0] : 0) * sizeof(quant::Q8Activations)),
        stride_(args.activation_stride) {}

  __attribute__((always_inline)) const quant::Q8Activations& operator[](std::size_t index) const noexcept {
    return *reinterpret_cast<const quant::Q8Activations*>(first_ + index * stride_);
  }

 private:
  const std::byte* first_;
  std::size_t stride_;
};

/// How often add_step calls fetch().
template <class Arch, class F, std::size_t kVectors>
inline constexpr std::size_t kFetches = kStep<F> / 64 * (kVectors / kVectorsTogether<Arch, F, kVectors>);

/// Adds to `sums`, of kVectors * kWidth rows of a tile, what kStep<F> elements of the depth contribute, whose
/// activations begin with block x[index]; what the groups of a weights' block share is unpacked once. fetch() is called
/// between the products.
template <class Arch, class F, std::size_t kVectors, class Fetch>
__attribute__((always_inline)) inline void add_step(const std::byte* block, const TokenBlocks& x,
                                                    std::size_t index, Fetch fetch,
                                                    simd::Vec<Arch> (&sums)[kVectors]) noexcept {
  constexpr std::size_t kTogether = kVectorsTogether<Arch, F, kVectors>;
#pragma GCC unroll 4
  for (std::size_t pair = 0; pair < kStep<F> / 64; ++pair) {
    for (std::size_t v = 0; v < kVectors; v += kTogether) {
      fetch();
      add_both_halves<Arch, F, 2, kTogether>(block, 2 * pair, v * simd::kWidth<Arch>, x[index + pair],
                                             sums + v);
    }
  }
}

/// The same for one block of 32 elements at the end of the depth.
template <class Arch, class F, std::size_t kVectors>
__attribute__((always_inline)) inline void add_half_step(const std::byte* block,
                                                         const quant::Q8Activations& x,
                                                         simd::Vec<Arch> (&sums)[kVectors]) noexcept {
  add_both_halves<Arch, F, 1, kVectors>(block, 0, 0, x, sums);
}

/// tiled_gemm_q8 for one token: its sums stay in registers. Every line is asked for once, two steps ahead and in the
/// order in which it lies in memory: asking at every load, kPrefetch ahead, is 1.1 to 1.5 times slower (AVX2).
template <class Arch, class F>
__attribute__((flatten)) void tiled_gemv_q8(const GemmArgs& args) noexcept {
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  constexpr std::size_t kVectors = kTileRows / kWidth;
  constexpr std::size_t kBytes = kStepBytes<Arch, F>;
  constexpr std::size_t kFetchedBytes = kBytes / kFetches<Arch, F, kVectors>;
  const TokenBlocks x(args);
  for (std::size_t tile_row = 0; tile_row < args.n_rows; tile_row += kTileRows) {
    const std::byte* block = args.weights + tile_row / kTileRows * args.weight_stride;
    const std::size_t left = args.n_rows - tile_row;
    const std::size_t out_bytes = (left < kTileRows ? left : kTileRows) * sizeof(float);
    alignas(64) float out[kTileRows] = {};
    if (args.adds) __builtin_memcpy(out, args.out + tile_row, out_bytes);
    simd::Vec<Arch> sums[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) {
      sums[v] = simd::load<Arch>(static_cast<const float*>(out + v * kWidth));
    }
    // As a number: the address may lie behind the last tile, where no pointer may point.
    std::uintptr_t fetched = reinterpret_cast<std::uintptr_t>(block) + 2 * kBytes;
    const auto fetch = [&] {
      prefetch<kFetchedBytes>(fetched);
      fetched += kFetchedBytes;
    };
    std::size_t k = 0;
    for (; k + kStep<F> <= args.depth; k += kStep<F>, block += kBytes) {
      add_step<Arch, F>(block, x, k / 64, fetch, sums);
    }
    if (k < args.depth) add_half_step<Arch, F>(block, x[k / 64], sums);
    for (std::size_t v = 0; v < kVectors; ++v) {
      simd::store<Arch>(out + v * kWidth, sums[v]);
    }
    __builtin_memcpy(args.out + tile_row, out, out_bytes);
  }
}

}  // namespace detail

/// Tiled weights of format F and Q8Activations: products of bytes summed exactly, their sums scaled
/// in f32. args.weight_stride goes from tile to tile, args.activation_stride from block to block.
template <class Arch, class F>
void tiled_gemm_q8(const GemmArgs& args) noexcept {
  if (args.n_tokens == 1) return detail::tiled_gemv_q8<Arch, F>(args);
  detail::for_each_tile(args, [&](const std::byte* tile, const detail::TokenGroup& tokens,
                                  detail::TileSums& sums) {
    if constexpr (kByBlocks<Arch>) {
      detail::add_tile_by_blocks<Arch, F>(args, tile, tokens, sums);
    } else {
      detail::add_tile_by_halves<Arch, F>(args, tile, tokens, sums);
    }
  });
}

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

/// What will be wanted next, fetched in shares between the products: widening alone would ask for more lines at once
/// than can be on their way.
class NextWeights {
 public:
  NextWeights(std::uintptr_t begin, std::size_t bytes, std::size_t shares) noexcept
      : next_(begin), end_(begin + bytes), share_((bytes + shares - 1) / shares) {}

  void fetch_share() noexcept {
    for (const std::uintptr_t end = std::min(next_ + share_, end_); next_ < end; next_ += 64) {
      __builtin_prefetch(reinterpret_cast<const void*>(next_));
    }
  }

 private:
  // As numbers: the addresses may lie behind the last tile, where no pointer may point.
  std::uintptr_t next_, end_;
  std::size_t share_;
};

/// add_wide for all rows, of kTokens tokens at a time while there are as many from `t` on.
template <class Arch, std::size_t kVectors, std::size_t kTokens>
__attribute__((always_inline)) inline void add_wide_blocks(const WideWeights& weights,
                                                           std::size_t n, const float* const* x,
                                                           std::size_t n_tokens, std::size_t& t,
                                                           NextWeights& next, TileSums& sums) noexcept {
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

/// tiled_gemm_f32 of bf16 for one token: what it widens stays in registers.
template <class Arch>
void tiled_gemv_wide(const GemmArgs& args) noexcept {
  using Pairs = quant::TileBlock<Arch, quant::BF16Pairs>;
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  constexpr std::size_t kElements = quant::F32Activations::kElements;
  const std::size_t token = args.activation_rows ? args.activation_rows[0] : 0;
  for_each_tile(args, [&](const std::byte* tile, const TokenGroup&, TileSums& out) {
    simd::Vec<Arch> sums[kTileRows / kWidth];
    for (simd::Vec<Arch>& sum : sums) sum = simd::broadcast<Arch>(0.0f);
    for (std::size_t block = 0; block * kElements < args.depth; ++block) {
      const float* x = block_of(args, token, block);
      const std::size_t n = std::min(args.depth - block * kElements, kElements);
      for (std::size_t k = 0; k < n; k += 2, tile += Pairs::kBytes) {
        const simd::Vec<Arch> even = simd::broadcast<Arch>(x[k]);
        const simd::Vec<Arch> odd = simd::broadcast<Arch>(x[k + 1]);
#pragma GCC unroll 8
        for (std::size_t v = 0; v < kTileRows / kWidth; ++v) {
          const simd::Words<Arch> pair = Pairs{tile, v * kWidth, args.ahead}.words(0, 0);
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
  detail::for_each_tile(args, [&](const std::byte* tile, const detail::TokenGroup& tokens,
                                  detail::TileSums& sums) {
    constexpr std::size_t kElements = quant::F32Activations::kElements;
    for (std::size_t k = 0; k < args.depth; k += kElements) {
      const std::size_t n = std::min(args.depth - k, kElements);
      const float* x[kTiledTokens];
      for (std::size_t i = 0; i < tokens.size; ++i) x[i] = detail::block_of(args, tokens.rows[i], k / kElements);
      detail::WideWeights weights;
      for (std::size_t i = 0; i < n; i += 32) {
        for (std::size_t row = 0; row < kTileRows; row += simd::kWidth<Arch>) {
          detail::widen_weights<Arch, F>(tile, (k + i) / 32, std::min<std::size_t>(n - i, 32), row, weights.values + i);
        }
      }
      constexpr std::size_t kBytes = kElements * kTileRows * quant::kBlockBytes<F> / F::kElements;
      const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(tile) + k / kElements * kBytes;
      detail::NextWeights next(address + args.ahead, kBytes, std::max<std::size_t>(tokens.size / 3, 1));
      std::size_t t = 0;
      // As many sums as there are registers for.
      detail::add_wide_blocks<Arch, 2, 6>(weights, n, x, tokens.size, t, next, sums);
      detail::add_wide_blocks<Arch, kTileVectors, 3>(weights, n, x, tokens.size, t, next, sums);
      detail::add_wide_blocks<Arch, kTileVectors, 2>(weights, n, x, tokens.size, t, next, sums);
      detail::add_wide_blocks<Arch, kTileVectors, 1>(weights, n, x, tokens.size, t, next, sums);
    }
  });
}

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

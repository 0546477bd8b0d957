// Product of tiled weights and one token's activations in 8 bits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mixtral/kernels/group_dot.hpp"
#include "mixtral/kernels/table.hpp"
#include "mixtral/kernels/tiles.hpp"
#include "mixtral/quant/activations.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::kernels {
namespace detail {

/// How many of kVectors vectors of rows are multiplied together for one token. AVX-512 has registers for all (1.1 to
/// 1.3 times as fast). Whole bytes need none to be unpacked, so that the vectors which share a cache line go together
/// (1.2 times); other formats lose by it.
template <class Arch, class F, std::size_t kVectors>
inline constexpr std::size_t kVectorsTogether = [] {
  if (simd::kWidth<Arch> == 16) return kVectors;
  if (F::kDType == DType::q8_0) return std::min(kVectors, kTileRows / 2 / simd::kWidth<Arch>);
  return std::size_t{1};
}();

/// Words of 4 elements between two calls of `fetch` in add_both_halves: with vectors as long as lines, many lines would
/// be asked for at once by fewer calls.
template <class Arch>
inline constexpr std::size_t kFetchWords = simd::kWidth<Arch> == 16 ? 2 : 16;

/// Adds to `sums`, kVectors vectors of rows of one token after the other, what a block of activations of each token, at
/// `x`, contributes: the steps of add_half, in registers. The block at `block` is the one that holds the first weights,
/// at `half`; kHalves is 1 at the end of an odd depth. fetch(i) is called between the products, for i = 0, 1, ...
template <class Arch, class F, std::size_t kHalves, std::size_t kVectors, std::size_t kTokens, class Fetch>
__attribute__((always_inline)) inline void add_both_halves(const std::byte* block, std::size_t half,
                                                           std::size_t row,
                                                           const quant::Q8Activations* const (&x)[kTokens],
                                                           Fetch fetch, simd::Vec<Arch>* sums) noexcept {
  using Vec = simd::Vec<Arch>;
  constexpr std::size_t kPerBlock = F::kElements / 32;
  constexpr std::size_t kScales = 32 / F::kScaleElements;
  Vec totals[kTokens][kVectors];
#pragma GCC unroll 8
  for (auto& total : totals) {
#pragma GCC unroll 4
    for (Vec& vector : total) vector = simd::broadcast<Arch>(0.0f);
  }
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
    const auto fetch_before = [&](std::size_t word) {
      if ((8 * h + word) % kFetchWords<Arch> == 0) fetch((8 * h + word) / kFetchWords<Arch>);
    };
    quant::Scales<Arch> weights[kVectors];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      F::template unpack_scales<Arch>(block_of(v), index % kPerBlock, weights[v]);
    }
#pragma GCC unroll 2
    for (std::size_t s = 0; s < kScales; ++s) {
      add_groups<Arch, F>(quants, weights, x, h, s, fetch_before, totals);
    }
  }
#pragma GCC unroll 8
  for (std::size_t t = 0; t < kTokens; ++t) {
    const Vec scale = simd::broadcast<Arch>(x[t]->scale);
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      Vec& sum = sums[t * kVectors + v];
      sum = simd::multiply_add<Arch>(totals[t][v], scale, sum);
    }
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

/// How often add_step calls `fetch`.
template <class Arch, class F, std::size_t kVectors>
inline constexpr std::size_t kFetches =
    kStep<F> / 4 / kFetchWords<Arch> * (kVectors / kVectorsTogether<Arch, F, kVectors>);

/// Adds to `sums`, of kVectors * kWidth rows of a tile, what kStep<F> elements of the depth contribute, whose
/// activations begin with block x[index]; what the groups of a weights' block share is unpacked once. fetch(i) is
/// called between the products, for i < kFetches.
template <class Arch, class F, std::size_t kVectors, class Fetch>
__attribute__((always_inline)) inline void add_step(const std::byte* block, const TokenBlocks& x,
                                                    std::size_t index, Fetch fetch,
                                                    simd::Vec<Arch> (&sums)[kVectors]) noexcept {
  constexpr std::size_t kTogether = kVectorsTogether<Arch, F, kVectors>;
#pragma GCC unroll 4
  for (std::size_t pair = 0; pair < kStep<F> / 64; ++pair) {
    for (std::size_t v = 0; v < kVectors; v += kTogether) {
      const std::size_t first = (pair * kVectors + v) / kTogether * (16 / kFetchWords<Arch>);
      const quant::Q8Activations* const token[] = {&x[index + pair]};
      add_both_halves<Arch, F, 2, kTogether>(block, 2 * pair, v * simd::kWidth<Arch>, token,
                                             [&](std::size_t i) { fetch(first + i); }, sums + v);
    }
  }
}

/// The same for one block of 32 elements at the end of the depth.
template <class Arch, class F, std::size_t kVectors>
__attribute__((always_inline)) inline void add_half_step(const std::byte* block,
                                                         const quant::Q8Activations& x,
                                                         simd::Vec<Arch> (&sums)[kVectors]) noexcept {
  const quant::Q8Activations* const token[] = {&x};
  add_both_halves<Arch, F, 1, kVectors>(block, 0, 0, token, [](std::size_t) {}, sums);
}

/// Bytes from what add_step multiplies to what is fetched meanwhile. With AVX-512 a page and two blocks: what scales a
/// block lies at its end and is wanted first. On AVX2 two steps, but for whole bytes half a step: they are read almost
/// in memory's order, and two steps ahead would be 1.2 times slower.
template <class Arch, class F>
inline constexpr std::size_t kFetchDistance = [] {
  if (simd::kWidth<Arch> == 16) return 4096 + 2 * quant::TileBlock<Arch, F>::kBytes;
  if (F::kDType == DType::q8_0 && simd::kWidth<Arch> == 8) return kStepBytes<Arch, F> / 2;
  return 2 * kStepBytes<Arch, F>;
}();

/// tiled_gemm_q8 for one token: its sums stay in registers. Every line is asked for once, in the order in which it lies
/// in memory: asking at every load, kPrefetch ahead, is 1.1 to 1.5 times slower (AVX2).
template <class Arch, class F>
__attribute__((flatten)) void tiled_gemv_q8(const GemmArgs& args) noexcept {
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  constexpr std::size_t kVectors = kTileRows / kWidth;
  constexpr std::size_t kBytes = kStepBytes<Arch, F>;
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
    NextSteps<Arch, kBytes, kFetches<Arch, F, kVectors>> next(reinterpret_cast<std::uintptr_t>(block) +
                                                              kFetchDistance<Arch, F>);
    const auto fetch = [&](std::size_t part) { next.fetch(part); };
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
}  // namespace mixtral::kernels

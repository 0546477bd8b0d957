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
        totals[v] = add_group<Arch, F>(totals[v], dots[v].sums(), weights[v], s, x_sums[s]);
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

/// Bytes from what add_step multiplies to what is fetched meanwhile: two steps, but for whole bytes on AVX2 half
/// a step. They are read almost in memory's order; two steps ahead would be 1.2 times slower.
template <class Arch, class F>
inline constexpr std::size_t kFetchDistance =
    F::kDType == DType::q8_0 && simd::kWidth<Arch> == 8 ? kStepBytes<Arch, F> / 2 : 2 * kStepBytes<Arch, F>;

/// tiled_gemm_q8 for one token: its sums stay in registers. Every line is asked for once, in the order in which it lies
/// in memory: asking at every load, kPrefetch ahead, is 1.1 to 1.5 times slower (AVX2).
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
    std::uintptr_t fetched = reinterpret_cast<std::uintptr_t>(block) + kFetchDistance<Arch, F>;
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
}  // namespace mixtral::kernels

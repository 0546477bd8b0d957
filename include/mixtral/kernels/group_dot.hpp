// Sums of products of bytes that share a scale.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/activations.hpp"
#include "mixtral/quant/unpack.hpp"
#include "mixtral/simd/int8.hpp"

namespace mixtral::kernels {
namespace detail {

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

/// total + scale * dot - min * x_sum, with the scale and min `s` of `weights`: what GroupDot's sums are worth.
template <class Arch, class F>
__attribute__((always_inline)) inline simd::Vec<Arch> add_group(simd::Vec<Arch> total, simd::IntVec<Arch> dot,
                                                                const quant::Scales<Arch>& weights, std::size_t s,
                                                                std::int32_t x_sum) noexcept {
  total = simd::multiply_add<Arch>(simd::to_float<Arch>(dot), weights.scales[s], total);
  if constexpr (F::kHasMin) {
    const simd::Vec<Arch> sum = simd::to_float<Arch>(simd::broadcast_int<Arch>(x_sum));
    total = simd::subtract_product<Arch>(sum, weights.mins[s], total);
  }
  return total;
}

/// Adds to `totals`, of kTokens tokens and kVectors vectors of rows, what the weights with scale `s` of 32 elements
/// contribute: quants(v, j) is word j of those 32, weights[v] has their scales, and x[t] the activations, in half
/// `half` of their block. Before the products of word j before(j) is called.
template <class Arch, class F, std::size_t kTokens, std::size_t kVectors, class Weights, class Quants, class Before>
__attribute__((always_inline)) inline void add_groups(Quants quants, const Weights (&weights)[kVectors],
                                                      const quant::Q8Activations* const (&x)[kTokens],
                                                      std::size_t half, std::size_t s, Before before,
                                                      simd::Vec<Arch> (&totals)[kTokens][kVectors]) noexcept {
  constexpr std::size_t kWords = F::kScaleElements / 4;
  std::int32_t x_sums[kTokens];
  GroupDot<Arch, F> dots[kTokens][kVectors];
#pragma GCC unroll 8
  for (std::size_t t = 0; t < kTokens; ++t) {
    x_sums[t] = kWords == 8 ? x[t]->sums32[half] : x[t]->sum16(half, s);
#pragma GCC unroll 4
    for (GroupDot<Arch, F>& dot : dots[t]) dot = GroupDot<Arch, F>(x_sums[t]);
  }
#pragma GCC unroll 8
  for (std::size_t j = 0; j < kWords; ++j) {
    const std::size_t word = s * kWords + j;
    before(word);
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kTokens; ++t) {
      const simd::Words<Arch> four = broadcast_bytes<Arch>(x[t]->q + 32 * half + 4 * word);
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) dots[t][v].add(j, quants(v, word), four);
    }
  }
#pragma GCC unroll 8
  for (std::size_t t = 0; t < kTokens; ++t) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      totals[t][v] = add_group<Arch, F>(totals[t][v], dots[t][v].sums(), weights[v], s, x_sums[t]);
    }
  }
}

}  // namespace detail
}  // namespace mixtral::kernels

// Sums of products of bytes that share a scale.
#pragma once

#include <cstddef>
#include <cstdint>

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

}  // namespace detail
}  // namespace mixtral::kernels

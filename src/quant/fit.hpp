// What the fits of quantisation levels to weights share.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "mixtral/core/dtype.hpp"

namespace mixtral::quant::detail {

inline constexpr F16 kNaN16 = {0x7e00};
inline constexpr float kMaxF16 = 65504;

/// term(0) + .. + term(N - 1), as four interleaved sums: so it is vectorised, and the same
/// everywhere.
template <std::size_t N, class F>
float sum_of(F term) noexcept {
  float lanes[4] = {};
  for (std::size_t i = 0; i < N; i += 4) {
    for (std::size_t l = 0; l < 4; ++l) lanes[l] += term(i + l);
  }
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

/// 1 / value, and 0 where that isn't finite.
inline float inverse_of(float value) noexcept {
  const float inverse = 1.0f / value;
  return std::abs(inverse) <= std::numeric_limits<float>::max() ? inverse : 0.0f;
}

/// The nearest finite f16; for what isn't zero, one that isn't zero either.
inline F16 to_scale(float value) noexcept {
  if (value == 0) return {0};
  return to_f16(std::copysign(std::clamp(std::abs(value), 0x1p-24f, kMaxF16), value));
}

/// The whole part of values[i], brought into 0 .. kMax; NaN is 0. In two loops, since GCC 12
/// vectorises these but not one that does both.
template <int kMax, std::size_t N>
void to_codes(float (&values)[N], int (&codes)[N]) noexcept {
  for (std::size_t i = 0; i < N; ++i) {
    values[i] = std::min(std::max(0.0f, values[i]), kMax + 0.5f);
  }
  for (std::size_t i = 0; i < N; ++i) codes[i] = static_cast<int>(values[i]);
}

/// False when one of `values` is a NaN or an infinity.
inline bool is_finite(const float* values, std::size_t n) noexcept {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(values[i]) & 0x7fffffffu);
  }
  return largest < 0x7f800000u;
}

/// Copies weights for a fit: what is larger than any type can hold is brought down, so that no sum
/// of squares overflows. False when one isn't finite.
template <std::size_t N>
bool load_weights(const float* values, float (&weights)[N]) noexcept {
  constexpr float kLimit = 0x1p40f;
  for (std::size_t i = 0; i < N; ++i) weights[i] = std::clamp(values[i], -kLimit, kLimit);
  return is_finite(values, N);
}

}  // namespace mixtral::quant::detail

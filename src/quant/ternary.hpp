// What TQ1_0 and TQ2_0 share: weights of -d, 0 and d.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "quant/fit.hpp"

namespace mixtral::quant::detail {

inline constexpr std::size_t kTernaryElements = 256;

/// Rounds weights to d * (code - 1), as the gguf package does: d is the largest weight.
inline F16 round_to_ternary(const float* values, std::uint8_t (&codes)[kTernaryElements]) noexcept {
  std::fill(std::begin(codes), std::end(codes), std::uint8_t{1});
  if (!is_finite(values, kTernaryElements)) return kNaN16;
  float d = 0;
  for (std::size_t i = 0; i < kTernaryElements; ++i) d = std::max(d, std::abs(values[i]));
  const float inverse = inverse_of(d);
  for (std::size_t i = 0; i < kTernaryElements; ++i) {
    codes[i] = static_cast<std::uint8_t>(1 + static_cast<int>(std::round(values[i] * inverse)));
  }
  return to_f16(std::min(d, kMaxF16));
}

inline void widen_ternary(const std::uint8_t* codes, F16 d, float* values) noexcept {
  for (std::size_t i = 0; i < kTernaryElements; ++i) values[i] = to_float(d) * static_cast<float>(codes[i] - 1);
}

}  // namespace mixtral::quant::detail

// How the reference quantisers of Q4_0, Q4_1, Q5_0 and Q5_1 round (ggml's quantize_row_q*_ref, and
// the gguf package's quants.py): the same bytes, but for weights that f16 can't scale.
#pragma once

#include "quant/fit.hpp"

namespace mixtral::quant::detail {

inline constexpr std::size_t kSimpleElements = 32;

struct SimpleCodes {
  F16 d, m;
  std::uint8_t codes[kSimpleElements];
};

/// codes[i] = values[i] * inverse + offset, cut off to 0 .. kMax.
template <int kMax>
void truncate(const float* values, float shift, float inverse, float offset,
              std::uint8_t (&codes)[kSimpleElements]) noexcept {
  float steps[kSimpleElements];
  int whole[kSimpleElements];
  for (std::size_t i = 0; i < kSimpleElements; ++i) {
    steps[i] = (values[i] - shift) * inverse + offset;
  }
  to_codes<kMax>(steps, whole);
  for (std::size_t i = 0; i < kSimpleElements; ++i) codes[i] = static_cast<std::uint8_t>(whole[i]);
}

/// d * (code - kZero): the largest weight gets code 0.
template <int kZero>
SimpleCodes round_to_scale(const float* values) noexcept {
  SimpleCodes block{};
  if (!is_finite(values, kSimpleElements)) return {kNaN16, kNaN16, {}};
  float largest = 0;
  for (std::size_t i = 0; i < kSimpleElements; ++i) {
    if (std::abs(values[i]) > std::abs(largest)) largest = values[i];
  }
  const float d = std::clamp(largest / -kZero, -kMaxF16, kMaxF16);
  block.d = to_f16(d);
  truncate<2 * kZero - 1>(values, 0, inverse_of(d), kZero + 0.5f, block.codes);
  return block;
}

/// d * code + m: the smallest weight gets code 0, the largest one kMax.
template <int kMax>
SimpleCodes round_to_line(const float* values) noexcept {
  SimpleCodes block{};
  if (!is_finite(values, kSimpleElements)) return {kNaN16, kNaN16, {}};
  const auto [low, high] = std::minmax_element(values, values + kSimpleElements);
  const float m = std::clamp(*low, -kMaxF16, kMaxF16);
  const float d = std::clamp((*high - m) / kMax, -kMaxF16, kMaxF16);
  block.d = to_f16(d);
  block.m = to_f16(m);
  truncate<kMax>(values, m, inverse_of(d), 0.5f, block.codes);
  return block;
}

}  // namespace mixtral::quant::detail

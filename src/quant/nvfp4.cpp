#include "mixtral/quant/nvfp4.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "quant/codes.hpp"
#include "quant/e2m1.hpp"
#include "quant/fit.hpp"

namespace mixtral::quant {
namespace {

constexpr std::size_t kGroup = NVFP4::kScaleElements;
constexpr std::uint8_t kLargestScale = 0x7e, kNoNumber = 0x7f;
constexpr float kLargestWeight = 448 * 6;

/// Half of what the byte stands for.
float scale_value(std::uint8_t byte) noexcept {
  if (byte == kNoNumber) return 0;
  const int exponent = byte >> 3 & 15, mantissa = byte & 7;
  return exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -10)
                       : std::ldexp(static_cast<float>(8 + mantissa), exponent - 11);
}

/// The byte that stands for `value` >= 0, as ggml rounds it: halves up, what is from 248 on to the largest.
std::uint8_t round_scale(float value) noexcept {
  if (value < 0x1p-6f) return static_cast<std::uint8_t>(std::min(7, static_cast<int>(value * 512 + 0.5f)));
  constexpr std::uint32_t kHalf = 1u << 19, kBias = (127 - 7) << 3, kLargestExponent = 15 << 3;
  const std::uint32_t byte = ((std::bit_cast<std::uint32_t>(value) + kHalf) >> 20) - kBias;
  return byte >= kLargestExponent ? kLargestScale : static_cast<std::uint8_t>(byte);
}

}  // namespace

/// As ggml does. There is no NaN and no infinity: a weight that is none leaves only the largest weights.
void NVFP4::quantise(const float* values, Block& block) noexcept {
  block = {};
  if (!detail::is_finite(values, kElements)) {
    std::fill(std::begin(block.scales), std::end(block.scales), kLargestScale);
    std::fill(std::begin(block.qs), std::end(block.qs), std::uint8_t{0x77});
    return;
  }
  for (std::size_t group = 0; group < kElements / kGroup; ++group, values += kGroup) {
    float largest = 0;
    for (std::size_t i = 0; i < kGroup; ++i) largest = std::max(largest, std::abs(values[i]));
    block.scales[group] = round_scale(largest / 6);
    std::uint8_t codes[kGroup];
    for (std::size_t i = 0; i < kGroup; ++i) {
      const float weight = std::clamp(values[i], -kLargestWeight, kLargestWeight);
      codes[i] = detail::nearest_e2m1(weight, scale_value(block.scales[group]));
    }
    detail::pack_nibbles<kGroup / 2>(codes, block.qs + kGroup / 2 * group);
  }
}

void NVFP4::dequantise(const Block& block, float* values) noexcept {
  for (std::size_t group = 0; group < kElements / kGroup; ++group, values += kGroup) {
    std::uint8_t codes[kGroup];
    detail::unpack_nibbles<kGroup / 2>(block.qs + kGroup / 2 * group, codes);
    for (std::size_t i = 0; i < kGroup; ++i) {
      values[i] = detail::e2m1_value(codes[i], scale_value(block.scales[group]));
    }
  }
}

}  // namespace mixtral::quant

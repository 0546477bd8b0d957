#include "mixtral/quant/mxfp4.hpp"

#include <algorithm>
#include <cmath>

#include "quant/codes.hpp"
#include "quant/fit.hpp"

namespace mixtral::quant {
namespace {

float scale_of(std::uint8_t e) noexcept { return std::ldexp(1.0f, e - 128); }

/// The nearest one's; of two equally near ones the first.
std::uint8_t code_of(float value, float scale) noexcept {
  std::uint8_t best = 0;
  for (std::uint8_t code = 1; code < 16; ++code) {
    const auto error = [&](std::uint8_t c) { return std::abs(scale * MXFP4::kValues[c] - value); };
    if (error(code) < error(best)) best = code;
  }
  return best;
}

}  // namespace

/// As ggml does: the scale's exponent is that of the largest weight. No code is a NaN: a weight that isn't
/// finite makes the whole block infinite.
void MXFP4::quantise(const float* values, Block& block) noexcept {
  block = {};
  if (!detail::is_finite(values, kElements)) {
    block.e = 255;
    std::fill(std::begin(block.qs), std::end(block.qs), std::uint8_t{0x77});
    return;
  }
  float largest = 0;
  for (std::size_t i = 0; i < kElements; ++i) largest = std::max(largest, std::abs(values[i]));
  if (largest > 0) block.e = static_cast<std::uint8_t>(std::max(0, std::ilogb(largest) + 125));
  std::uint8_t codes[kElements];
  for (std::size_t i = 0; i < kElements; ++i) codes[i] = code_of(values[i], scale_of(block.e));
  detail::pack_nibbles<16>(codes, block.qs);
}

void MXFP4::dequantise(const Block& block, float* values) noexcept {
  std::uint8_t codes[kElements];
  detail::unpack_nibbles<16>(block.qs, codes);
  const float scale = scale_of(block.e);
  for (std::size_t i = 0; i < kElements; ++i) values[i] = scale * kValues[codes[i]];
}

}  // namespace mixtral::quant

#include "mixtral/quant/mxfp4.hpp"

#include <algorithm>
#include <cmath>

#include "quant/codes.hpp"
#include "quant/e2m1.hpp"
#include "quant/fit.hpp"

namespace mixtral::quant {
namespace {

float scale_of(std::uint8_t e) noexcept { return std::ldexp(1.0f, e - 128); }

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
  for (std::size_t i = 0; i < kElements; ++i) codes[i] = detail::nearest_e2m1(values[i], scale_of(block.e));
  detail::pack_nibbles<16>(codes, block.qs);
}

void MXFP4::dequantise(const Block& block, float* values) noexcept {
  std::uint8_t codes[kElements];
  detail::unpack_nibbles<16>(block.qs, codes);
  const float scale = scale_of(block.e);
  for (std::size_t i = 0; i < kElements; ++i) values[i] = detail::e2m1_value(codes[i], scale);
}

}  // namespace mixtral::quant

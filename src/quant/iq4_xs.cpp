#include "mixtral/quant/iq4_xs.hpp"

#include "quant/codes.hpp"
#include "quant/fit_scales.hpp"

namespace mixtral::quant {

void IQ4_XS::quantise(const float* values, Block& block) noexcept {
  const auto fitted = detail::ScalesFit<detail::IQ4Levels, 32, 8, 32>::fit(values);
  block = {};
  block.d = fitted.d;
  for (std::size_t group = 0; group < 8; ++group) {
    const int scale = fitted.scales[group] + 32;
    std::uint8_t& low = block.scales_l[group / 2];
    low = static_cast<std::uint8_t>(low | (scale & 15) << (group % 2 * 4));
    block.scales_h = static_cast<std::uint16_t>(block.scales_h | scale >> 4 << (2 * group));
    detail::pack_nibbles<16>(fitted.codes + 32 * group, block.qs + 16 * group);
  }
}

void IQ4_XS::dequantise(const Block& block, float* values) noexcept {
  for (std::size_t group = 0; group < 8; ++group) {
    const int low = block.scales_l[group / 2] >> (group % 2 * 4) & 15;
    const int high = block.scales_h >> (2 * group) & 3;
    const float scale = to_float(block.d) * static_cast<float>((low | high << 4) - 32);
    std::uint8_t codes[32];
    detail::unpack_nibbles<16>(block.qs + 16 * group, codes);
    for (std::size_t i = 0; i < 32; ++i) values[32 * group + i] = scale * kIQ4Values[codes[i]];
  }
}

}  // namespace mixtral::quant

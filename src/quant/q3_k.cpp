#include "mixtral/quant/q3_k.hpp"

#include "quant/codes.hpp"
#include "quant/fit_scales.hpp"

namespace mixtral::quant {

void Q3_K::quantise(const float* values, Block& block) noexcept {
  const auto fitted = detail::ScalesFit<detail::EvenLevels<kZero>, 32, 16, 16>::fit(values);
  block = {};
  block.d = fitted.d;
  for (std::size_t group = 0; group < 16; ++group) {
    const int scale = fitted.scales[group] + 32;
    std::uint8_t& low = block.scales[group % 8];
    low = static_cast<std::uint8_t>(low | (scale & 15) << (group / 8 * 4));
    std::uint8_t& high = block.scales[8 + group % 4];
    high = static_cast<std::uint8_t>(high | scale >> 4 << (group / 4 * 2));
  }
  detail::pack_pairs(fitted.codes, 0, block.qs);
  detail::pack_plane(fitted.codes, 2, block.hmask);
}

void Q3_K::dequantise(const Block& block, float* values) noexcept {
  std::uint8_t codes[kElements] = {};
  detail::unpack_pairs(block.qs, 0, codes);
  detail::unpack_plane(block.hmask, 2, codes);
  for (std::size_t group = 0; group < 16; ++group) {
    const int low = block.scales[group % 8] >> (group / 8 * 4) & 15;
    const int high = block.scales[8 + group % 4] >> (group / 4 * 2) & 3;
    const float scale = to_float(block.d) * static_cast<float>((low | high << 4) - 32);
    for (std::size_t i = 16 * group; i < 16 * group + 16; ++i) {
      values[i] = scale * static_cast<float>(codes[i] - kZero);
    }
  }
}

}  // namespace mixtral::quant

#include "mixtral/quant/q2_k.hpp"

#include "quant/codes.hpp"
#include "quant/fit_lines.hpp"

namespace mixtral::quant {

void Q2_K::quantise(const float* values, Block& block) noexcept {
  const auto fitted = detail::LinesFit<3, 15, 16, 16>::fit(values);
  block.d = fitted.d;
  block.dmin = fitted.dmin;
  for (std::size_t group = 0; group < 16; ++group) {
    block.scales[group] = static_cast<std::uint8_t>(fitted.scales[group] | fitted.mins[group] << 4);
  }
  detail::pack_pairs(fitted.codes, 0, block.qs);
}

void Q2_K::dequantise(const Block& block, float* values) noexcept {
  std::uint8_t codes[kElements] = {};
  detail::unpack_pairs(block.qs, 0, codes);
  for (std::size_t group = 0; group < 16; ++group) {
    const float scale = to_float(block.d) * static_cast<float>(block.scales[group] & 15);
    const float min = to_float(block.dmin) * static_cast<float>(block.scales[group] >> 4);
    for (std::size_t i = 16 * group; i < 16 * group + 16; ++i) {
      values[i] = scale * static_cast<float>(codes[i]) - min;
    }
  }
}

}  // namespace mixtral::quant

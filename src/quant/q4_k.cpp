#include "mixtral/quant/q4_k.hpp"

#include "quant/codes.hpp"
#include "quant/fit_lines.hpp"
#include "quant/scales_6bit.hpp"

namespace mixtral::quant {

void Q4_K::quantise(const float* values, Block& block) noexcept {
  const auto fitted = detail::LinesFit<15, 63, 8, 32>::fit(values);
  block.d = fitted.d;
  block.dmin = fitted.dmin;
  detail::pack_scales(fitted.scales, fitted.mins, block.scales);
  for (std::size_t n = 0; n < 4; ++n) {
    detail::pack_nibbles<32>(fitted.codes + 64 * n, block.qs + 32 * n);
  }
}

void Q4_K::dequantise(const Block& block, float* values) noexcept {
  std::uint8_t codes[kElements];
  for (std::size_t n = 0; n < 4; ++n) {
    detail::unpack_nibbles<32>(block.qs + 32 * n, codes + 64 * n);
  }
  const detail::GroupScales groups = detail::unpack_scales(block.scales);
  for (std::size_t group = 0; group < 8; ++group) {
    const float scale = to_float(block.d) * static_cast<float>(groups.scales[group]);
    const float min = to_float(block.dmin) * static_cast<float>(groups.mins[group]);
    for (std::size_t i = 32 * group; i < 32 * group + 32; ++i) {
      values[i] = scale * static_cast<float>(codes[i]) - min;
    }
  }
}

}  // namespace mixtral::quant

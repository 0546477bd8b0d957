#include "mixtral/quant/q6_k.hpp"

#include <algorithm>

#include "quant/codes.hpp"
#include "quant/fit_scales.hpp"

namespace mixtral::quant {

void Q6_K::quantise(const float* values, Block& block) noexcept {
  const auto fitted = detail::ScalesFit<detail::EvenLevels<kZero>, 128, 16, 16>::fit(values);
  block.d = fitted.d;
  std::copy_n(fitted.scales, 16, block.scales);
  for (std::size_t n = 0; n < 2; ++n) {
    detail::pack_nibbles<64>(fitted.codes + 128 * n, block.ql + 64 * n);
  }
  detail::pack_pairs(fitted.codes, 4, block.qh);
}

void Q6_K::dequantise(const Block& block, float* values) noexcept {
  std::uint8_t codes[kElements];
  for (std::size_t n = 0; n < 2; ++n) {
    detail::unpack_nibbles<64>(block.ql + 64 * n, codes + 128 * n);
  }
  detail::unpack_pairs(block.qh, 4, codes);
  for (std::size_t group = 0; group < 16; ++group) {
    const float scale = to_float(block.d) * static_cast<float>(block.scales[group]);
    for (std::size_t i = 16 * group; i < 16 * group + 16; ++i) {
      values[i] = scale * static_cast<float>(codes[i] - kZero);
    }
  }
}

}  // namespace mixtral::quant

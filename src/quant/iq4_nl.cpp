#include "mixtral/quant/iq4_nl.hpp"

#include "quant/codes.hpp"
#include "quant/fit_scales.hpp"

namespace mixtral::quant {

void IQ4_NL::quantise(const float* values, Block& block) noexcept {
  float weights[kElements];
  block = {};
  if (!detail::load_weights(values, weights)) {
    block.d = detail::kNaN16;
    return;
  }
  block.d = detail::to_scale(detail::fit_scale<detail::IQ4Levels, kElements>(weights));
  const auto group = detail::IQ4Levels::round<kElements>(weights, to_float(block.d));
  std::uint8_t codes[kElements];
  for (std::size_t i = 0; i < kElements; ++i) codes[i] = static_cast<std::uint8_t>(group.code[i]);
  detail::pack_nibbles<16>(codes, block.qs);
}

void IQ4_NL::dequantise(const Block& block, float* values) noexcept {
  std::uint8_t codes[kElements];
  detail::unpack_nibbles<16>(block.qs, codes);
  const float d = to_float(block.d);
  for (std::size_t i = 0; i < kElements; ++i) values[i] = d * kIQ4Values[codes[i]];
}

}  // namespace mixtral::quant

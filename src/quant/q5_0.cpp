#include "mixtral/quant/q5_0.hpp"

#include "quant/codes.hpp"
#include "quant/round_simple.hpp"

namespace mixtral::quant {

void Q5_0::quantise(const float* values, Block& block) noexcept {
  const detail::SimpleCodes simple = detail::round_to_scale<16>(values);
  block.d = simple.d;
  detail::pack_fifth_bits(simple.codes, block.qh);
  detail::pack_nibbles<16>(simple.codes, block.qs);
}

void Q5_0::dequantise(const Block& block, float* values) noexcept {
  std::uint8_t codes[kElements];
  detail::unpack_nibbles<16>(block.qs, codes);
  detail::unpack_fifth_bits(block.qh, codes);
  const float d = to_float(block.d);
  for (std::size_t i = 0; i < kElements; ++i) {
    values[i] = d * static_cast<float>(codes[i] - kZero);
  }
}

}  // namespace mixtral::quant

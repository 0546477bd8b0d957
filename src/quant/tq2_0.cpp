#include "mixtral/quant/tq2_0.hpp"

#include "quant/codes.hpp"
#include "quant/ternary.hpp"

namespace mixtral::quant {

void TQ2_0::quantise(const float* values, Block& block) noexcept {
  std::uint8_t codes[kElements];
  block.d = detail::round_to_ternary(values, codes);
  detail::pack_pairs(codes, 0, block.qs);
}

void TQ2_0::dequantise(const Block& block, float* values) noexcept {
  std::uint8_t codes[kElements] = {};
  detail::unpack_pairs(block.qs, 0, codes);
  detail::widen_ternary(codes, block.d, values);
}

}  // namespace mixtral::quant

#include "mixtral/quant/q8_0.hpp"

#include <algorithm>
#include <cmath>

#include "quant/fit.hpp"

namespace mixtral::quant {

// As ggml's quantize_row_q8_0_ref: halves are rounded away from zero.
void Q8_0::quantise(const float* values, Block& block) noexcept {
  block = {};
  if (!detail::is_finite(values, kElements)) {
    block.d = detail::kNaN16;
    return;
  }
  float largest = 0;
  for (std::size_t i = 0; i < kElements; ++i) largest = std::max(largest, std::abs(values[i]));
  const float d = std::min(largest / 127, detail::kMaxF16);
  const float inverse = detail::inverse_of(d);
  block.d = to_f16(d);
  for (std::size_t i = 0; i < kElements; ++i) {
    const float steps = std::clamp(values[i] * inverse, -127.0f, 127.0f);
    const int whole = static_cast<int>(steps);
    const float rest = steps - static_cast<float>(whole);
    block.qs[i] = static_cast<std::int8_t>(whole + (rest >= 0.5f) - (rest <= -0.5f));
  }
}

void Q8_0::dequantise(const Block& block, float* values) noexcept {
  const float d = to_float(block.d);
  for (std::size_t i = 0; i < kElements; ++i) values[i] = d * static_cast<float>(block.qs[i]);
}

}  // namespace mixtral::quant

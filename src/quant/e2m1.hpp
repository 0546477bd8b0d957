// The 4-bit floats of MXFP4 and NVFP4, in plain code.
#pragma once

#include <cmath>
#include <cstdint>

#include "mixtral/quant/e2m1_values.hpp"

namespace mixtral::quant::detail {

inline float e2m1_value(std::uint8_t code, float scale) noexcept { return scale * kE2M1Values[code]; }

/// The code whose value is nearest; of two equally near ones the first.
inline std::uint8_t nearest_e2m1(float value, float scale) noexcept {
  std::uint8_t best = 0;
  for (std::uint8_t code = 1; code < 16; ++code) {
    const auto error = [&](std::uint8_t c) { return std::abs(e2m1_value(c, scale) - value); };
    if (error(code) < error(best)) best = code;
  }
  return best;
}

}  // namespace mixtral::quant::detail

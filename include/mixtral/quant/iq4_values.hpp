// What the 4-bit codes of IQ4_NL and IQ4_XS stand for: steps that grow with the distance from zero.
#pragma once

#include <cstdint>

namespace mixtral::quant {

inline constexpr std::int8_t kIQ4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};

}  // namespace mixtral::quant

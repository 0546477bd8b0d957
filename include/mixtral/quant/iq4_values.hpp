// What the 4-bit codes of IQ4_NL and IQ4_XS stand for: steps that grow with the distance from zero.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

inline constexpr std::int8_t kIQ4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};

/// 128 + what each code stands for.
template <class Arch>
simd::Words<Arch> iq4_values(simd::Words<Arch> codes) noexcept {
  constexpr std::array<std::uint8_t, 16> kBytes = [] {
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 0; i < 16; ++i) bytes[i] = static_cast<std::uint8_t>(kIQ4Values[i] + 128);
    return bytes;
  }();
  return simd::lookup<Arch>(kBytes, codes);
}

}  // namespace mixtral::quant

// What the 4-bit codes of MXFP4 and NVFP4 stand for: floats of 1 sign, 2 exponent and 1 mantissa bit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

/// Twice the values.
inline constexpr std::int8_t kE2M1Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

inline constexpr int kE2M1Zero = 16;
inline constexpr int kE2M1Largest = kE2M1Zero + 12;

/// kE2M1Zero + twice what each code stands for.
template <class Arch>
simd::Words<Arch> e2m1_values(simd::Words<Arch> codes) noexcept {
  constexpr std::array<std::uint8_t, 16> kBytes = [] {
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 0; i < 16; ++i) bytes[i] = static_cast<std::uint8_t>(kE2M1Values[i] + kE2M1Zero);
    return bytes;
  }();
  return simd::lookup<Arch>(kBytes, codes);
}

}  // namespace mixtral::quant

// Rounds rows of f32 to blocks of q8_0.
#pragma once

#include <cstddef>

#include "mixtral/kernels/quantise_activations.hpp"
#include "mixtral/quant/q8_0.hpp"

namespace mixtral::kernels {

/// 32 values: q = round(value / d) with d = max |value| / 127, rounded to f16 before it divides. A value that
/// isn't finite, or for which f16 has no scale, makes d NaN, so that it shows wherever the block is used.
template <class Arch>
void quantise_block(const float* values, quant::Q8_0::Block& out) noexcept {
  using Vec = simd::Vec<Arch>;
  const auto [largest, poison] = magnitude_of<Arch, quant::Q8_0::kElements>(values);
  out = {};
  out.d = to_f16(largest / 127.0f);
  const float d = to_float(out.d);
  if (poison != 0.0f || d - d != 0.0f) {
    out.d = to_f16(__builtin_nanf(""));
    return;
  }
  if (d == 0.0f) return;
  const Vec inverse = simd::broadcast<Arch>(1.0f / d);
  const Vec zero = simd::broadcast<Arch>(0.0f), lowest = simd::broadcast<Arch>(-127.0f);
  for (std::size_t i = 0; i < quant::Q8_0::kElements; i += simd::kWidth<Arch>) {
    // Where f16 is coarse, d may be less than largest / 127.
    const Vec steps = simd::maximum<Arch>(simd::load<Arch>(values + i) * inverse, lowest);
    const Vec clamped = zero - simd::maximum<Arch>(zero - steps, lowest);
    simd::store_bytes<Arch>(out.qs + i, simd::round<Arch>(clamped));
  }
}

/// n values, a whole number of blocks.
template <class Arch>
void quantise_row(const float* values, std::size_t n, std::byte* out) noexcept {
  auto* blocks = reinterpret_cast<quant::Q8_0::Block*>(out);
  for (std::size_t i = 0; i < n / quant::Q8_0::kElements; ++i) {
    quantise_block<Arch>(values + i * quant::Q8_0::kElements, blocks[i]);
  }
}

}  // namespace mixtral::kernels

// Puts rows of activations into the blocks that the tiled kernels read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/activations.hpp"
#include "mixtral/simd/int8.hpp"

namespace mixtral::kernels {

struct Magnitude {
  float largest;  ///< max |value|, when all are finite
  float poison;   ///< 0, or NaN when one isn't
};

template <class Arch, std::size_t kCount>
Magnitude magnitude_of(const float* values) noexcept {
  using Vec = simd::Vec<Arch>;
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  const Vec zero = simd::broadcast<Arch>(0.0f);
  Vec largest = zero, poison = zero;
  for (std::size_t i = 0; i < kCount; i += kWidth) {
    const Vec value = simd::load<Arch>(values + i);
    largest = simd::maximum<Arch>(largest, simd::maximum<Arch>(value, zero - value));
    poison = simd::multiply_add<Arch>(value, zero, poison);
  }
  return {simd::max_lane<Arch>(largest), simd::sum<Arch>(poison)};
}

/// One block of 64 values. A value that isn't finite makes the scale NaN, so that it shows in every sum.
template <class Arch>
void quantise_block(const float* values, quant::Q8Activations& out) noexcept {
  using Vec = simd::Vec<Arch>;
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  constexpr float kSmallest = 0x1p-100f;  // the inverse of a scale must stay finite
  const auto [range, poison] = magnitude_of<Arch, 64>(values);
  if (poison != 0.0f) {
    out = {};
    out.scale = poison;
    return;
  }
  const bool tiny = range < kSmallest;
  const Vec inverse = simd::broadcast<Arch>(tiny ? 0.0f : 127.0f / range);
  out.scale = tiny ? 0.0f : range / 127.0f;
  std::int32_t sums[4];
  for (std::size_t group = 0; group < 4; ++group) {
    simd::IntVec<Arch> total = simd::broadcast_int<Arch>(0);
    for (std::size_t i = 16 * group; i < 16 * (group + 1); i += kWidth) {
      const simd::IntVec<Arch> q = simd::round<Arch>(simd::load<Arch>(values + i) * inverse);
      simd::store_bytes<Arch>(out.q + i, q);
      total = total + q;
    }
    sums[group] = simd::sum<Arch>(total);
  }
  for (std::size_t half = 0; half < 2; ++half) {
    out.sums32[half] = sums[2 * half] + sums[2 * half + 1];
    out.sums16[half] = sums[2 * half];
  }
}

/// The same in twice as many bits.
template <class Arch>
void quantise_block(const float* values, quant::Q16Activations& out) noexcept {
  quantise_block<Arch>(values, out.coarse);
  float rest[quant::Q16Activations::kElements];
  for (std::size_t i = 0; i < quant::Q16Activations::kElements; ++i) {
    rest[i] = values[i] - out.coarse.scale * static_cast<float>(out.coarse.q[i]);
  }
  quantise_block<Arch>(rest, out.fine);
}

/// Stores n values as ceil(n / 64) of Block, `stride` bytes apart, the last one padded with zeros.
template <class Arch, class Block>
void quantise_activations(const float* values, std::size_t n, std::byte* out,
                          std::size_t stride) noexcept {
  constexpr std::size_t kElements = Block::kElements;
  for (std::size_t i = 0; i < n; i += kElements, out += stride) {
    auto& block = *reinterpret_cast<Block*>(out);
    if (n - i >= kElements) {
      quantise_block<Arch>(values + i, block);
    } else {
      float padded[kElements] = {};
      __builtin_memcpy(padded, values + i, (n - i) * sizeof(float));
      quantise_block<Arch>(padded, block);
    }
  }
}

/// Rounds n values to ceil(n / 32) blocks of bf16, likewise.
template <class Arch>
void round_activations(const float* values, std::size_t n, std::byte* out,
                       std::size_t stride) noexcept {
  constexpr std::size_t kElements = quant::BF16Activations::kElements;
  for (std::size_t i = 0; i < n; i += kElements, out += stride) {
    float padded[kElements] = {};
    const std::size_t count = n - i < kElements ? n - i : kElements;
    __builtin_memcpy(padded, values + i, count * sizeof(float));
    auto& block = *reinterpret_cast<quant::BF16Activations*>(out);
    for (std::size_t k = 0; k < kElements; k += simd::kWidth<Arch>) {
      simd::store<Arch>(block.values + k, simd::load<Arch>(padded + k));
    }
  }
}

}  // namespace mixtral::kernels

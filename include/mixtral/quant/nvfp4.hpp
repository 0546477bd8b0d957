// NVFP4: 64 weights in groups of 16, each scale * kE2M1Values[q] with 4-bit q and a scale that is an unsigned
// 8-bit float.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/e2m1_values.hpp"
#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct NVFP4 {
  static constexpr DType kDType = DType::nvfp4;
  static constexpr std::size_t kElements = 64;

  struct Block {
    /// Twice the scale of each group, with 4 bits of exponent and 3 of mantissa. The upper bit says nothing,
    /// and 0x7f is zero, as ggml has it.
    std::uint8_t scales[4];
    /// Element 16g + 8h + l in half h of byte 8g + l.
    std::uint8_t qs[32];
  };
  static constexpr Field kFields[] = {Field{offsetof(Block, qs), 4, 8},
                                      Field{offsetof(Block, scales), 4, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 16;
  static constexpr int kZero = kE2M1Zero;
  static constexpr int kLargest = kE2M1Largest;
  static constexpr bool kHasMin = false;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, NVFP4>& block, std::size_t group, std::size_t j) noexcept {
    const simd::Words<Arch> word = block.words(0, 4 * group + j / 4 * 2 + j % 2);
    return e2m1_values<Arch>(j % 4 < 2 ? simd::low_nibbles<Arch>(word) : simd::high_nibbles<Arch>(word));
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, NVFP4>& block, std::size_t group, Scales<Arch>& out) noexcept {
    const simd::Words<Arch> scales = block.words(1, 0);
    for (std::size_t half = 0; half < 2; ++half) {
      out.scales[half] = scale_of<Arch>(byte_of<Arch>(scales, 2 * group + half));
    }
  }

 private:
  /// Half of what the bytes stand for: a whole number of 4 bits, times a power of two.
  template <class Arch>
  static simd::Vec<Arch> scale_of(simd::Words<Arch> bytes) noexcept {
    const auto constant = [](std::uint32_t value) { return simd::broadcast_word<Arch>(value); };
    const simd::Words<Arch> exponent = (bytes >> 3) & constant(15);
    const simd::Words<Arch> is_normal = (exponent + constant(15)) >> 4;
    const simd::Words<Arch> significand = (bytes & constant(7)) | (is_normal << 3);
    const simd::Words<Arch> is_number = ((bytes ^ constant(0x7f)) + constant(255)) >> 8;
    // Of a subnormal the exponent is that of the least normal one: 1.
    const simd::Words<Arch> power = exponent + (is_normal ^ constant(1)) + constant(127 - 11);
    return simd::to_float<Arch>(significand) * simd::to_float<Arch>(is_number) *
           simd::as_float<Arch>(power << 23);
  }
};

static_assert(sizeof(NVFP4::Block) == block_of(NVFP4::kDType).bytes);

}  // namespace mixtral::quant

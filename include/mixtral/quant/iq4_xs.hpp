// IQ4_XS: 256 weights in groups of 32, each d * (scale - 32) * kIQ4Values[q] with 4-bit q, 6-bit
// scale.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/iq4_values.hpp"
#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct IQ4_XS {
  static constexpr DType kDType = DType::iq4_xs;
  static constexpr std::size_t kElements = 256;

  struct Block {
    F16 d;
    /// Bits 4, 5 of the scale of group g in the bits 2g, 2g + 1.
    std::uint16_t scales_h;
    /// Bits 0..3 of the scale of group 2i + h in half h of byte i.
    std::uint8_t scales_l[4];
    /// Element 32g + 16h + l in half h of byte 16g + l.
    std::uint8_t qs[128];
  };
  static constexpr Field kFields[] = {
      Field{offsetof(Block, qs), 4, 32}, Field{offsetof(Block, scales_l), 4, 1},
      Field{offsetof(Block, scales_h), 2, 1}, Field{offsetof(Block, d), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 32;
  static constexpr int kZero = 128;
  static constexpr int kLargest = 255;
  static constexpr bool kHasMin = false;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, IQ4_XS>& block, std::size_t group, std::size_t j) noexcept {
    return iq4_values<Arch>(nibbles(block, 0, 4 * group, j));
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, IQ4_XS>& block, std::size_t group, Scales<Arch>& out) noexcept {
    const simd::Words<Arch> low =
        (block.words(1, 0) >> static_cast<int>(4 * group)) & simd::broadcast_word<Arch>(15);
    const simd::Words<Arch> high =
        (block.shorts(2, 0) >> static_cast<int>(2 * group)) & simd::broadcast_word<Arch>(3);
    out.scales[0] =
        block.halves(3, 0) * (simd::to_float<Arch>(low | (high << 4)) - simd::broadcast<Arch>(32));
  }
};

static_assert(sizeof(IQ4_XS::Block) == block_of(IQ4_XS::kDType).bytes);

}  // namespace mixtral::quant

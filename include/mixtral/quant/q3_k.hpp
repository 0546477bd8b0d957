// Q3_K: 256 weights in groups of 16, each d * (scale - 32) * (q - 4) with 3-bit q and 6-bit scale.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct Q3_K {
  static constexpr DType kDType = DType::q3_k;
  static constexpr std::size_t kElements = 256;

  struct Block {
    /// Bit 2 of element 32j + l in bit j of byte l.
    std::uint8_t hmask[32];
    /// Bits 0, 1 of element 128n + 32j + l in the bits 2j, 2j + 1 of byte 32n + l.
    std::uint8_t qs[64];
    /// Of group 8h + 4i + k: bits 0..3 in half h of byte 4i + k, bits 4, 5 in the bits 4h + 2i and
    /// 4h + 2i + 1 of byte 8 + k.
    std::uint8_t scales[12];
    F16 d;
  };
  static constexpr Field kFields[] = {
      Field{offsetof(Block, qs), 4, 16}, Field{offsetof(Block, hmask), 4, 8},
      Field{offsetof(Block, scales), 4, 3}, Field{offsetof(Block, d), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 16;
  static constexpr int kZero = 4;
  static constexpr int kLargest = 7;
  static constexpr bool kHasMin = false;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, Q3_K>& block, std::size_t group, std::size_t j) noexcept {
    const simd::Words<Arch> low = block.words(0, group / 4 * 8 + j);
    const simd::Words<Arch> high = block.words(1, j);
    // The group's bit of each byte becomes its bit 2.
    const simd::Words<Arch> third =
        group < 2 ? high << static_cast<int>(2 - group) : high >> static_cast<int>(group - 2);
    return ((low >> static_cast<int>(group % 4 * 2)) & simd::broadcast_word<Arch>(0x03030303u)) |
           (third & simd::broadcast_word<Arch>(0x04040404u));
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, Q3_K>& block, std::size_t group, Scales<Arch>& out) noexcept {
    const simd::Vec<Arch> d = block.halves(3, 0);
    const simd::Vec<Arch> zero = d * simd::broadcast<Arch>(-32);
    // Four scales are put together before one is taken out: callers that take one after the other share that work.
    const simd::Words<Arch> low = block.words(2, group / 2 % 2) >> static_cast<int>(group / 4 * 4);
    const simd::Words<Arch> high = (block.words(2, 2) >> static_cast<int>(group / 2 * 2)) << 4;
    const simd::Words<Arch> four =
        simd::low_nibbles<Arch>(low) | (high & simd::broadcast_word<Arch>(0x30303030u));
    for (std::size_t half = 0; half < 2; ++half) {
      const simd::Words<Arch> scale = byte_of<Arch>(four, group % 2 * 2 + half);
      out.scales[half] = simd::multiply_add<Arch>(d, simd::to_float<Arch>(scale), zero);  // exact
    }
  }
};

static_assert(sizeof(Q3_K::Block) == block_of(Q3_K::kDType).bytes);

}  // namespace mixtral::quant

// Q5_0: 32 weights d * (q - 16) with 5-bit q.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct Q5_0 {
  static constexpr DType kDType = DType::q5_0;
  static constexpr std::size_t kElements = 32;

  struct Block {
    F16 d;
    /// Bit 4 of element 8i + l in bit l of byte i.
    std::uint8_t qh[4];
    /// Bits 0..3 of element 16h + l in half h of byte l.
    std::uint8_t qs[16];
  };
  static constexpr Field kFields[] = {Field{offsetof(Block, qs), 4, 4},
                                      Field{offsetof(Block, qh), 4, 1},
                                      Field{offsetof(Block, d), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 32;
  static constexpr int kZero = 16;
  static constexpr int kLargest = 31;
  static constexpr bool kHasMin = false;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, Q5_0>& block, std::size_t, std::size_t j) noexcept {
    return nibbles(block, 0, 0, j) | fifth_bits<Arch>(block.words(1, 0), j);
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, Q5_0>& block, std::size_t, Scales<Arch>& out) noexcept {
    out.scales[0] = block.halves(2, 0);
  }
};

static_assert(sizeof(Q5_0::Block) == block_of(Q5_0::kDType).bytes);

}  // namespace mixtral::quant

// Q4_1: 32 weights d * q + m with 4-bit q.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct Q4_1 {
  static constexpr DType kDType = DType::q4_1;
  static constexpr std::size_t kElements = 32;

  struct Block {
    F16 d;
    F16 m;
    /// Element 16h + l in half h of byte l.
    std::uint8_t qs[16];
  };
  static constexpr Field kFields[] = {Field{offsetof(Block, qs), 4, 4},
                                      Field{offsetof(Block, d), 2, 1},
                                      Field{offsetof(Block, m), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 32;
  static constexpr int kZero = 0;
  static constexpr int kLargest = 15;
  static constexpr bool kHasMin = true;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, Q4_1>& block, std::size_t, std::size_t j) noexcept {
    return nibbles(block, 0, 0, j);
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, Q4_1>& block, std::size_t, Scales<Arch>& out) noexcept {
    out.scales[0] = block.halves(1, 0);
    out.mins[0] = simd::broadcast<Arch>(0) - block.halves(2, 0);
  }
};

static_assert(sizeof(Q4_1::Block) == block_of(Q4_1::kDType).bytes);

}  // namespace mixtral::quant

// Q2_K: 256 weights in groups of 16, each d * scale * q - dmin * min with 2-bit q and 4-bit scale
// and min.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct Q2_K {
  static constexpr DType kDType = DType::q2_k;
  static constexpr std::size_t kElements = 256;

  struct Block {
    /// Of each group: the scale in the low half, the min in the high half.
    std::uint8_t scales[16];
    /// Element 128n + 32j + l in the bits 2j, 2j + 1 of byte 32n + l.
    std::uint8_t qs[64];
    F16 d;
    F16 dmin;
  };
  static constexpr Field kFields[] = {
      Field{offsetof(Block, qs), 4, 16}, Field{offsetof(Block, scales), 4, 4},
      Field{offsetof(Block, d), 2, 1}, Field{offsetof(Block, dmin), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 16;
  static constexpr int kZero = 0;
  static constexpr int kLargest = 3;
  static constexpr bool kHasMin = true;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, Q2_K>& block, std::size_t group, std::size_t j) noexcept {
    const simd::Words<Arch> word = block.words(0, group / 4 * 8 + j);
    return (word >> static_cast<int>(group % 4 * 2)) & simd::broadcast_word<Arch>(0x03030303u);
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, Q2_K>& block, std::size_t group, Scales<Arch>& out) noexcept {
    const simd::Vec<Arch> d = block.halves(2, 0);
    const simd::Vec<Arch> dmin = block.halves(3, 0);
    const simd::Words<Arch> scales = block.words(1, group / 2);
    for (std::size_t half = 0; half < 2; ++half) {
      const std::size_t byte = group % 2 * 2 + half;
      out.scales[half] = d * simd::to_float<Arch>(byte_of<Arch>(simd::low_nibbles<Arch>(scales), byte));
      out.mins[half] = dmin * simd::to_float<Arch>(byte_of<Arch>(simd::high_nibbles<Arch>(scales), byte));
    }
  }
};

static_assert(sizeof(Q2_K::Block) == block_of(Q2_K::kDType).bytes);

}  // namespace mixtral::quant

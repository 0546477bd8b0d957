// Q6_K: 256 weights in groups of 16, each d * scale * (q - 32) with 6-bit q and signed 8-bit scale.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct Q6_K {
  static constexpr DType kDType = DType::q6_k;
  static constexpr std::size_t kElements = 256;

  struct Block {
    /// Bits 0..3 of element 128n + 64h + l in half h of byte 64n + l.
    std::uint8_t ql[128];
    /// Bits 4, 5 of element 128n + 32j + l in the bits 2j, 2j + 1 of byte 32n + l.
    std::uint8_t qh[64];
    std::int8_t scales[16];
    F16 d;
  };
  static constexpr Field kFields[] = {
      Field{offsetof(Block, ql), 4, 32}, Field{offsetof(Block, qh), 4, 16},
      Field{offsetof(Block, scales), 4, 4}, Field{offsetof(Block, d), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 16;
  static constexpr int kZero = 32;
  static constexpr int kLargest = 63;
  static constexpr bool kHasMin = false;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, Q6_K>& block, std::size_t group, std::size_t j) noexcept {
    const simd::Words<Arch> word = block.words(0, group / 4 * 16 + group % 2 * 8 + j);
    const simd::Words<Arch> low =
        group % 4 < 2 ? simd::low_nibbles<Arch>(word) : simd::high_nibbles<Arch>(word);
    const simd::Words<Arch> high = block.words(1, group / 4 * 8 + j);
    // The group's two bits of each byte become its bits 4 and 5.
    const simd::Words<Arch> upper = group % 4 < 2 ? high << static_cast<int>(4 - group % 4 * 2)
                                                  : high >> static_cast<int>(group % 4 * 2 - 4);
    return low | (upper & simd::broadcast_word<Arch>(0x30303030u));
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, Q6_K>& block, std::size_t group, Scales<Arch>& out) noexcept {
    const simd::Vec<Arch> d = block.halves(3, 0);
    const simd::Vec<Arch> zero = d * simd::broadcast<Arch>(-128);
    // Signed bytes as unsigned ones, 128 too large.
    const simd::Words<Arch> scales =
        block.words(2, group / 2) ^ simd::broadcast_word<Arch>(0x80808080u);
    for (std::size_t half = 0; half < 2; ++half) {
      const simd::Words<Arch> scale = byte_of<Arch>(scales, group % 2 * 2 + half);
      out.scales[half] = simd::multiply_add<Arch>(d, simd::to_float<Arch>(scale), zero);  // exact
    }
  }
};

static_assert(sizeof(Q6_K::Block) == block_of(Q6_K::kDType).bytes);

}  // namespace mixtral::quant

// Q5_K: 256 weights in groups of 32, each d * scale * q - dmin * min with 5-bit q, 6-bit scale and
// min.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/q4_k.hpp"
#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct Q5_K {
  static constexpr DType kDType = DType::q5_k;
  static constexpr std::size_t kElements = 256;

  struct Block {
    F16 d;
    F16 dmin;
    /// As in Q4_K.
    std::uint8_t scales[12];
    /// Bit 4 of element 32j + l in bit j of byte l.
    std::uint8_t qh[32];
    /// Bits 0..3, as in Q4_K.
    std::uint8_t qs[128];
  };
  static constexpr Field kFields[] = {
      Field{offsetof(Block, qs), 4, 32}, Field{offsetof(Block, qh), 4, 8},
      Field{offsetof(Block, scales), 4, 3}, Field{offsetof(Block, d), 2, 1},
      Field{offsetof(Block, dmin), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 32;
  static constexpr int kZero = 0;
  static constexpr int kLargest = 31;
  static constexpr bool kHasMin = true;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, Q5_K>& block, std::size_t group, std::size_t j) noexcept {
    const simd::Words<Arch> word = block.words(0, group / 2 * 8 + j);
    const simd::Words<Arch> low =
        group % 2 == 0 ? simd::low_nibbles<Arch>(word) : simd::high_nibbles<Arch>(word);
    const simd::Words<Arch> high = block.words(1, j);
    // The group's bit of each byte becomes its bit 4.
    const simd::Words<Arch> fifth =
        group < 4 ? high << static_cast<int>(4 - group) : high >> static_cast<int>(group - 4);
    return low | (fifth & simd::broadcast_word<Arch>(0x10101010u));
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, Q5_K>& block, std::size_t group, Scales<Arch>& out) noexcept {
    const simd::Words<Arch> words[3] = {block.words(2, 0), block.words(2, 1), block.words(2, 2)};
    const ScaleAndMin<Arch> six_bits(words, group);
    out.scales[0] = block.halves(3, 0) * simd::to_float<Arch>(six_bits.scale);
    out.mins[0] = block.halves(4, 0) * simd::to_float<Arch>(six_bits.min);
  }
};

static_assert(sizeof(Q5_K::Block) == block_of(Q5_K::kDType).bytes);

}  // namespace mixtral::quant

// Q4_K: 256 weights in 8 groups of 32, d * scale * q - dmin * min with 4-bit q and, for each group,
// a scale and a min of 6 bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

/// The 6-bit scale and min of group `group` out of the three words that hold those of 8 groups.
template <class Arch>
struct ScaleAndMin {
  simd::Words<Arch> scale;
  simd::Words<Arch> min;

  /// Bytes 0..3 of words 0 and 1 hold the scales and the mins of the groups 0..3 in their lower six
  /// bits and the upper two bits of those of the groups 4..7 above; word 2 holds their lower four.
  /// The four groups are put together before one is taken out: callers that take one after the other
  /// share that work.
  ScaleAndMin(const simd::Words<Arch> (&words)[3], std::size_t group) noexcept {
    const simd::Words<Arch> upper = simd::broadcast_word<Arch>(0x30303030u);
    const simd::Words<Arch> six_bits = simd::broadcast_word<Arch>(0x3f3f3f3fu);
    if (group < 4) {
      scale = words[0] & six_bits;
      min = words[1] & six_bits;
    } else {
      scale = simd::low_nibbles<Arch>(words[2]) | ((words[0] >> 2) & upper);
      min = simd::high_nibbles<Arch>(words[2]) | ((words[1] >> 2) & upper);
    }
    scale = byte_of<Arch>(scale, group % 4);
    min = byte_of<Arch>(min, group % 4);
  }
};

struct Q4_K {
  static constexpr DType kDType = DType::q4_k;
  static constexpr std::size_t kElements = 256;

  struct Block {
    F16 d;
    F16 dmin;
    std::uint8_t scales[12];
    std::uint8_t qs[128];  ///< element 64c + l in the low half of byte 32c + l, 64c + 32 + l in the high
  };
  static constexpr Field kFields[] = {
      Field{offsetof(Block, qs), 4, 32}, Field{offsetof(Block, scales), 4, 3},
      Field{offsetof(Block, d), 2, 1}, Field{offsetof(Block, dmin), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 32;
  static constexpr int kZero = 0;
  static constexpr int kLargest = 15;
  static constexpr bool kHasMin = true;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, Q4_K>& block, std::size_t group, std::size_t j) noexcept {
    const simd::Words<Arch> word = block.words(0, group / 2 * 8 + j);
    return group % 2 == 0 ? simd::low_nibbles<Arch>(word) : simd::high_nibbles<Arch>(word);
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, Q4_K>& block, std::size_t group, Scales<Arch>& out) noexcept {
    const simd::Words<Arch> words[3] = {block.words(1, 0), block.words(1, 1), block.words(1, 2)};
    const ScaleAndMin<Arch> six_bits(words, group);
    out.scales[0] = block.halves(2, 0) * simd::to_float<Arch>(six_bits.scale);
    out.mins[0] = block.halves(3, 0) * simd::to_float<Arch>(six_bits.min);
  }
};

static_assert(sizeof(Q4_K::Block) == block_of(Q4_K::kDType).bytes);

}  // namespace mixtral::quant

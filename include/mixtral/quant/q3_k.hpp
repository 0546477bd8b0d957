// Q3_K: 256 weights in groups of 16, each d * (scale - 32) * (q - 4) with 3-bit q and 6-bit scale.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"

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
  static constexpr std::array kFields = {
      Field{offsetof(Block, qs), 4, 16}, Field{offsetof(Block, hmask), 4, 8},
      Field{offsetof(Block, scales), 4, 3}, Field{offsetof(Block, d), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 16;
  static constexpr int kZero = 4;
  static constexpr bool kHasMin = false;
};

static_assert(sizeof(Q3_K::Block) == block_of(Q3_K::kDType).bytes);

}  // namespace mixtral::quant

// Q5_K: 256 weights in groups of 32, each d * scale * q - dmin * min with 5-bit q, 6-bit scale and
// min.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"

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
  static constexpr std::array kFields = {
      Field{offsetof(Block, qs), 4, 32}, Field{offsetof(Block, qh), 4, 8},
      Field{offsetof(Block, scales), 4, 3}, Field{offsetof(Block, d), 2, 1},
      Field{offsetof(Block, dmin), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 32;
  static constexpr int kZero = 0;
  static constexpr bool kHasMin = true;
};

static_assert(sizeof(Q5_K::Block) == block_of(Q5_K::kDType).bytes);

}  // namespace mixtral::quant

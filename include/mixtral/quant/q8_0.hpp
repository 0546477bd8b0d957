// Q8_0: 32 weights d * q with signed 8-bit q.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct Q8_0 {
  static constexpr DType kDType = DType::q8_0;
  static constexpr std::size_t kElements = 32;

  struct Block {
    F16 d;
    std::int8_t qs[32];
  };
  static constexpr Field kFields[] = {Field{offsetof(Block, qs), 4, 8},
                                      Field{offsetof(Block, d), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 32;
  static constexpr int kZero = 128;
  static constexpr int kLargest = 255;
  static constexpr bool kHasMin = false;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, Q8_0>& block, std::size_t, std::size_t j) noexcept {
    return block.words(0, j) ^ simd::broadcast_word<Arch>(0x80808080u);
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, Q8_0>& block, std::size_t, Scales<Arch>& out) noexcept {
    out.scales[0] = block.halves(1, 0);
  }
};

static_assert(sizeof(Q8_0::Block) == block_of(Q8_0::kDType).bytes);

}  // namespace mixtral::quant

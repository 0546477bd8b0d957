// TQ2_0: 256 weights d * (q - 1) with 2-bit q.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct TQ2_0 {
  static constexpr DType kDType = DType::tq2_0;
  static constexpr std::size_t kElements = 256;

  struct Block {
    /// Element 128n + 32j + l in the bits 2j, 2j + 1 of byte 32n + l.
    std::uint8_t qs[64];
    F16 d;
  };
  static constexpr Field kFields[] = {Field{offsetof(Block, qs), 4, 16},
                                      Field{offsetof(Block, d), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 32;
  static constexpr int kZero = 1;
  static constexpr int kLargest = 3;
  static constexpr bool kHasMin = false;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, TQ2_0>& block, std::size_t group, std::size_t j) noexcept {
    const simd::Words<Arch> word = block.words(0, group / 4 * 8 + j);
    return (word >> static_cast<int>(group % 4 * 2)) & simd::broadcast_word<Arch>(0x03030303u);
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, TQ2_0>& block, std::size_t, Scales<Arch>& out) noexcept {
    out.scales[0] = block.halves(1, 0);
  }
};

static_assert(sizeof(TQ2_0::Block) == block_of(TQ2_0::kDType).bytes);

}  // namespace mixtral::quant

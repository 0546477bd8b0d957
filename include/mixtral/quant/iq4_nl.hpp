// IQ4_NL: 32 weights d * kIQ4Values[q] with 4-bit q.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/iq4_values.hpp"
#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct IQ4_NL {
  static constexpr DType kDType = DType::iq4_nl;
  static constexpr std::size_t kElements = 32;

  struct Block {
    F16 d;
    /// Element 16h + l in half h of byte l.
    std::uint8_t qs[16];
  };
  static constexpr Field kFields[] = {Field{offsetof(Block, qs), 4, 4},
                                      Field{offsetof(Block, d), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 32;
  static constexpr int kZero = 128;
  static constexpr int kLargest = 255;
  static constexpr bool kHasMin = false;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, IQ4_NL>& block, std::size_t, std::size_t j) noexcept {
    return iq4_values<Arch>(nibbles(block, 0, 0, j));
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, IQ4_NL>& block, std::size_t, Scales<Arch>& out) noexcept {
    out.scales[0] = block.halves(1, 0);
  }
};

static_assert(sizeof(IQ4_NL::Block) == block_of(IQ4_NL::kDType).bytes);

}  // namespace mixtral::quant

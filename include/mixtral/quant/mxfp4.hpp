// MXFP4: 32 weights 2^(e - 128) * kE2M1Values[q] with 4-bit q, the format of the Open Compute Project.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/e2m1_values.hpp"
#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct MXFP4 {
  static constexpr DType kDType = DType::mxfp4;
  static constexpr std::size_t kElements = 32;

  struct Block {
    std::uint8_t e;
    /// Element 16h + l in half h of byte l.
    std::uint8_t qs[16];
  };
  static constexpr Field kFields[] = {Field{offsetof(Block, qs), 4, 4},
                                      Field{offsetof(Block, e), 1, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 32;
  static constexpr int kZero = kE2M1Zero;
  static constexpr int kLargest = kE2M1Largest;
  static constexpr bool kHasMin = false;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, MXFP4>& block, std::size_t, std::size_t j) noexcept {
    return e2m1_values<Arch>(nibbles(block, 0, 0, j));
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, MXFP4>& block, std::size_t, Scales<Arch>& out) noexcept {
    // 2^(e - 128) may be subnormal: the product of two normal powers, of about half the exponent each.
    const simd::Words<Arch> e = block.bytes(1, 0);
    const simd::Words<Arch> half = e >> 1;
    const simd::Words<Arch> bias = simd::broadcast_word<Arch>(63);
    out.scales[0] = simd::as_float<Arch>((half + bias) << 23) *
                    simd::as_float<Arch>(((e & simd::broadcast_word<Arch>(1)) + half + bias) << 23);
  }
};

static_assert(sizeof(MXFP4::Block) == block_of(MXFP4::kDType).bytes);

}  // namespace mixtral::quant

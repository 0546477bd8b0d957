// TQ1_0: 256 weights d * (q - 1) with q of 0, 1 or 2, five of them in a byte.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"
#include "mixtral/quant/unpack.hpp"

namespace mixtral::quant {

struct TQ1_0 {
  static constexpr DType kDType = DType::tq1_0;
  static constexpr std::size_t kElements = 256;

  /// A byte is a fraction of 256 whose digits to the base 3 are the codes, the first of them the highest.
  struct Block {
    /// Element 32n + l in digit n of byte l < 32, element 160 + 16n + l in digit n of byte 32 + l.
    std::uint8_t qs[48];
    /// Element 240 + 4n + l in digit n < 4 of byte l.
    std::uint8_t qh[4];
    F16 d;
  };
  static constexpr Field kFields[] = {Field{offsetof(Block, qs), 4, 12},
                                      Field{offsetof(Block, qh), 4, 1}, Field{offsetof(Block, d), 2, 1}};

  static void quantise(const float* values, Block& block) noexcept;
  static void dequantise(const Block& block, float* values) noexcept;

  static constexpr std::size_t kScaleElements = 32;
  static constexpr int kZero = 1;
  static constexpr int kLargest = 2;
  static constexpr bool kHasMin = false;

  template <class Arch>
  static simd::Words<Arch> quants(const TileBlock<Arch, TQ1_0>& block, std::size_t group, std::size_t j) noexcept {
    if (group < 5) return digits<Arch>(block.words(0, j), group);
    if (group < 7 || j < 4) return digits<Arch>(block.words(0, 8 + j % 4), 2 * (group - 5) + j / 4);
    return digits<Arch>(block.words(1, 0), j - 4);
  }

  template <class Arch>
  static void unpack_scales(const TileBlock<Arch, TQ1_0>& block, std::size_t, Scales<Arch>& out) noexcept {
    out.scales[0] = block.halves(2, 0);
  }

 private:
  /// Digit n of each byte: times 3 moves a digit before the point.
  template <class Arch>
  static simd::Words<Arch> digits(simd::Words<Arch> bytes, std::size_t n) noexcept {
    for (std::size_t i = 0; i < n; ++i) {
      bytes = simd::add_bytes<Arch>(bytes, simd::add_bytes<Arch>(bytes, bytes));
    }
    return simd::times_3_over_256<Arch>(bytes);
  }
};

static_assert(sizeof(TQ1_0::Block) == block_of(TQ1_0::kDType).bytes);

}  // namespace mixtral::quant

// Reading a tile: what a format's `unpack` reads from and fills in.
#pragma once

#include <cstddef>

#include "mixtral/quant/tile.hpp"
#include "mixtral/simd/int8.hpp"

namespace mixtral::quant {

/// One block of kWidth<Arch> consecutive rows of a tile.
template <class Arch, class F>
struct TileBlock {
  const std::byte* data;  ///< of the tile's block
  std::size_t row;        ///< first row

  /// Unit `index` of a field of 4-byte units, one row per lane.
  simd::Words<Arch> words(std::size_t field, std::size_t index) const noexcept {
    return simd::load_words<Arch>(data + tile_offset<F>(field, index) + 4 * row);
  }
  /// Unit `index` of a field of f16, widened.
  simd::Vec<Arch> halves(std::size_t field, std::size_t index) const noexcept {
    return simd::load<Arch>(
        reinterpret_cast<const F16*>(data + tile_offset<F>(field, index) + 2 * row));
  }
};

/// 32 consecutive elements of kWidth<Arch> rows, one row per lane.
/// Element k is scales[k / F::kScaleElements] * (byte(k) - F::kZero) - mins[k / F::kScaleElements],
/// the last term where F::kHasMin.
template <class Arch>
struct Unpacked {
  simd::Words<Arch> quants[8];  ///< bytes 0..255; word j holds the elements 4j .. 4j+3
  simd::Vec<Arch> scales[2];
  simd::Vec<Arch> mins[2];
};

}  // namespace mixtral::quant

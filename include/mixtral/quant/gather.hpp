// From rows of blocks to a tile, at the speed of the products that want it.
#pragma once

#include <cstddef>
#include <iterator>
#include <utility>

#include "mixtral/quant/tile.hpp"
#include "mixtral/simd/transpose.hpp"

namespace mixtral::quant {
namespace detail {

/// Copies unit `index` of field `f` of the kTransposedRows rows at `rows`.
template <class F, std::size_t f>
__attribute__((always_inline)) inline void gather_unit(const std::byte* rows, std::size_t stride,
                                                       std::size_t index, std::byte* to) noexcept {
  constexpr Field kField = F::kFields[f];
  const std::byte* from = rows + kField.offset + index * kField.unit;
#pragma GCC unroll 8
  for (std::size_t row = 0; row < simd::kTransposedRows; ++row) {
    __builtin_memcpy(to + row * kField.unit, from + row * stride, kField.unit);
  }
}

/// Field `f` of the kTransposedRows rows at `rows`, which are rows [row, ..) of the tile.
template <class Arch, class F, std::size_t f>
__attribute__((always_inline)) inline void gather_field(const std::byte* rows, std::size_t stride,
                                                        std::size_t row, std::byte* tile) noexcept {
  constexpr Field kField = F::kFields[f];
  constexpr std::size_t kUnitBytes = kTileRows * kField.unit;
  constexpr std::size_t kFours = kField.unit == 4 ? kField.count / 4 * 4 : 0;
  constexpr std::size_t kLeft = kField.count - kFours;
  std::byte* to = tile + tile_offset<F>(f) + row * kField.unit;
  for (std::size_t index = 0; index < kFours; index += 4) {
    simd::transpose_words<Arch, 4>(rows + kField.offset + 4 * index, stride, to + index * kUnitBytes,
                                   kUnitBytes);
  }
  to += kFours * kUnitBytes;
  constexpr std::size_t kRest = kField.offset + kFours * 4;
  if constexpr (kField.unit == 4 && kLeft == 3 && kRest + 16 <= kBlockBytes<F>) {
    simd::transpose_words<Arch, 3>(rows + kRest, stride, to, kUnitBytes);  // reads what follows, too
  } else {
    for (std::size_t index = 0; index < kLeft; ++index) {
      gather_unit<F, f>(rows, stride, kFours + index, to + index * kUnitBytes);
    }
  }
}

}  // namespace detail

/// Writes the block of each of n_rows rows that lie `stride` bytes apart to a tile's block, as its first. n_rows is a
/// multiple of simd::kTransposedRows.
template <class Arch, class F, std::size_t n_rows = kTileRows>
__attribute__((always_inline)) inline void gather_block(const std::byte* rows, std::size_t stride,
                                                        std::byte* tile) noexcept {
  for (std::size_t row = 0; row < n_rows; row += simd::kTransposedRows) {
    [&]<std::size_t... f>(std::index_sequence<f...>) {
      (detail::gather_field<Arch, F, f>(rows + row * stride, stride, row, tile), ...);
    }(std::make_index_sequence<std::size(F::kFields)>{});
  }
}

}  // namespace mixtral::quant

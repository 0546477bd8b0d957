// The tiled layout of weights: what lies where in a tile of kTileRows rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/core/dtype.hpp"
#include "mixtral/core/tensor.hpp"

namespace mixtral::quant {

/// A part of a block: `count` units of `unit` bytes each, from byte `offset` of the block.
///
/// A tile holds the same bytes as kTileRows rows of blocks, in another order: block after block along
/// the columns; in a block field after field; in a field unit after unit; of a unit all rows. So one
/// vector load gives the same unit of consecutive rows, and a tile is read from end to end.
///
/// A format's kFields is a plain array: g++ 12 takes std::array with deduced arguments for a variable, and
/// looks up what it should know.
struct Field {
  std::uint16_t offset;
  std::uint16_t unit;
  std::uint16_t count;
};

/// Bytes of one row's block.
template <class F>
inline constexpr std::size_t kBlockBytes = [] {
  std::size_t bytes = 0;
  for (const Field& field : F::kFields) bytes += std::size_t{field.unit} * field.count;
  return bytes;
}();

/// Byte in a tile's block at which unit `index` of row 0 of F::kFields[field] lies.
template <class F>
constexpr std::size_t tile_offset(std::size_t field, std::size_t index = 0) noexcept {
  std::size_t offset = 0;
  for (std::size_t f = 0; f < field; ++f) offset += F::kFields[f].unit * F::kFields[f].count;
  return (offset + F::kFields[field].unit * index) * kTileRows;
}

/// bf16 weights in tiles: words of two consecutive elements.
struct BF16Pairs {
  static constexpr DType kDType = DType::bf16;
  static constexpr std::size_t kElements = 2;
  static constexpr Field kFields[] = {Field{0, 4, 1}};
};

}  // namespace mixtral::quant

#include "mixtral/quant/convert.hpp"

#include <algorithm>
#include <cstring>

#include "mixtral/quant/formats.hpp"

namespace mixtral::quant {
namespace {

/// A plain type as a format: blocks of one element.
template <class T>
struct Plain {
  static constexpr std::size_t kElements = 1;
  using Block = T;

  static void quantise(const float* value, float& out) noexcept { out = *value; }
  static void quantise(const float* value, F16& out) noexcept { out = to_f16(*value); }
  static void quantise(const float* value, BF16& out) noexcept { out = to_bf16(*value); }
  static void dequantise(T block, float* value) noexcept { *value = to_float(block); }
};

/// Calls f.operator()<Format>() for the format of `dtype`.
template <class F>
void visit_type(DType dtype, F f) {
  switch (dtype) {
    case DType::f32:
      return f.template operator()<Plain<float>>();
    case DType::f16:
      return f.template operator()<Plain<F16>>();
    case DType::bf16:
      return f.template operator()<Plain<BF16>>();
    default:
      AllFormats::visit(dtype, f);
  }
}

/// The same for the formats of tiles.
template <class F>
void visit_tiled(DType dtype, F f) {
  if (dtype == DType::bf16) return f.template operator()<BF16Pairs>();
  AllFormats::visit(dtype, f);
}

template <std::size_t kUnit>
void interleave(const std::byte* rows, std::size_t stride, std::size_t count, std::byte* tile) {
  for (std::size_t unit = 0; unit < count; ++unit) {
    for (std::size_t row = 0; row < kTileRows; ++row, tile += kUnit) {
      std::memcpy(tile, rows + row * stride + unit * kUnit, kUnit);
    }
  }
}

template <std::size_t kUnit>
void deinterleave(const std::byte* tile, std::size_t count, std::byte* rows, std::size_t stride) {
  for (std::size_t unit = 0; unit < count; ++unit) {
    for (std::size_t row = 0; row < kTileRows; ++row, tile += kUnit) {
      std::memcpy(rows + row * stride + unit * kUnit, tile, kUnit);
    }
  }
}

/// One block of each row of a tile. Blocks are gathered here first: rows often lie a power of two
/// apart, and would push each other out of the cache with every unit.
template <class F>
struct BlockColumn {
  static constexpr std::size_t kStride = kBlockBytes<F>;

  std::byte bytes[kTileRows * kStride] = {};

  void write(std::byte* tile) const noexcept {
    for (const Field& field : F::kFields) {
      const std::byte* rows = bytes + field.offset;
      if (field.unit == 2) {
        interleave<2>(rows, kStride, field.count, tile);
      } else {
        interleave<4>(rows, kStride, field.count, tile);
      }
      tile += kTileRows * field.unit * field.count;
    }
  }

  void read(const std::byte* tile) noexcept {
    for (const Field& field : F::kFields) {
      std::byte* rows = bytes + field.offset;
      if (field.unit == 2) {
        deinterleave<2>(tile, field.count, rows, kStride);
      } else {
        deinterleave<4>(tile, field.count, rows, kStride);
      }
      tile += kTileRows * field.unit * field.count;
    }
  }
};

/// Calls f(first row, rows, block) for each block of each tile, in the order of the tiles.
template <class F>
void for_each_tile_block(std::size_t n_rows, std::size_t blocks, F f) {
  for (std::size_t first = 0; first < n_rows; first += kTileRows) {
    for (std::size_t block = 0; block < blocks; ++block) {
      f(first, std::min(kTileRows, n_rows - first), block);
    }
  }
}

}  // namespace

void quantise(DType dtype, std::span<const float> values, std::byte* out) noexcept {
  visit_type(dtype, [&]<class Format>() {
    for (std::size_t i = 0; i < values.size(); i += Format::kElements) {
      typename Format::Block block;
      Format::quantise(values.data() + i, block);
      std::memcpy(out, &block, sizeof block);
      out += sizeof block;
    }
  });
}

void dequantise(DType dtype, const std::byte* blocks, std::span<float> values) noexcept {
  visit_type(dtype, [&]<class Format>() {
    for (std::size_t i = 0; i < values.size(); i += Format::kElements) {
      typename Format::Block block;
      std::memcpy(&block, blocks, sizeof block);
      Format::dequantise(block, values.data() + i);
      blocks += sizeof block;
    }
  });
}

bool can_tile(DType dtype, std::size_t cols) noexcept {
  bool fits = false;
  visit_tiled(dtype, [&]<class Format>() { fits = cols % Format::kElements == 0; });
  return fits;
}

void tile_rows(DType dtype, const std::byte* rows, std::size_t n_rows, std::size_t cols,
               std::byte* tiles) noexcept {
  visit_tiled(dtype, [&]<class Format>() {
    constexpr std::size_t kBytes = kBlockBytes<Format>;
    const std::size_t blocks = cols / Format::kElements;
    for_each_tile_block(n_rows, blocks,
                        [&](std::size_t first, std::size_t count, std::size_t block) {
                          BlockColumn<Format> column;
                          for (std::size_t row = 0; row < count; ++row) {
                            std::memcpy(column.bytes + row * kBytes,
                                        rows + ((first + row) * blocks + block) * kBytes, kBytes);
                          }
                          column.write(tiles);
                          tiles += kTileRows * kBytes;
                        });
  });
}

void untile_rows(DType dtype, const std::byte* tiles, std::size_t n_rows, std::size_t cols,
                 std::byte* rows) noexcept {
  visit_tiled(dtype, [&]<class Format>() {
    constexpr std::size_t kBytes = kBlockBytes<Format>;
    const std::size_t blocks = cols / Format::kElements;
    for_each_tile_block(n_rows, blocks,
                        [&](std::size_t first, std::size_t count, std::size_t block) {
                          BlockColumn<Format> column;
                          column.read(tiles);
                          for (std::size_t row = 0; row < count; ++row) {
                            std::memcpy(rows + ((first + row) * blocks + block) * kBytes,
                                        column.bytes + row * kBytes, kBytes);
                          }
                          tiles += kTileRows * kBytes;
                        });
  });
}

}  // namespace mixtral::quant

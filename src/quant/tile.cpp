// Between rows and tiles. Built without vectorisation: GCC 12's of strided loads is several times
// slower than moving one unit after the other.
#include <algorithm>
#include <cstring>

#include "mixtral/quant/convert.hpp"
#include "mixtral/quant/formats.hpp"

namespace mixtral::quant {
namespace {

/// Calls f.operator()<Format>() for what tiles of `dtype` hold.
template <class F>
void visit_tiled(DType dtype, F f) {
  if (dtype == DType::bf16) return f.template operator()<BF16Pairs>();
  AllFormats::visit(dtype, f);
}

/// One block of each row of a tile. Blocks are gathered here first: rows often lie a power of two
/// apart, and would push each other out of the cache with every unit.
template <class F>
class BlockColumn {
 public:
  static constexpr std::size_t kBytes = kBlockBytes<F>;

  std::byte* row(std::size_t index) noexcept { return bytes_ + index * kBytes; }

  void write(std::byte* tile) noexcept {
    for_each_unit([&]<std::size_t kUnit>(std::byte* units) {
      for (std::size_t row = 0; row < kTileRows; ++row, tile += kUnit) {
        std::memcpy(tile, units + row * kBytes, kUnit);
      }
    });
  }

  void read(const std::byte* tile) noexcept {
    for_each_unit([&]<std::size_t kUnit>(std::byte* units) {
      for (std::size_t row = 0; row < kTileRows; ++row, tile += kUnit) {
        std::memcpy(units + row * kBytes, tile, kUnit);
      }
    });
  }

 private:
  /// Calls move.operator()<bytes>(the first row's) for each unit, in the order of the tile.
  template <class Move>
  void for_each_unit(Move move) noexcept {
    for (const Field& field : F::kFields) {
      for (std::size_t unit = 0; unit < field.count; ++unit) {
        std::byte* units = bytes_ + field.offset + unit * field.unit;
        if (field.unit == 4) {
          move.template operator()<4>(units);
        } else if (field.unit == 2) {
          move.template operator()<2>(units);
        } else {
          move.template operator()<1>(units);
        }
      }
    }
  }

  std::byte bytes_[kTileRows * kBytes] = {};
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

bool can_tile(DType dtype, std::size_t cols) noexcept {
  bool fits = false;
  visit_tiled(dtype, [&]<class Format>() { fits = cols % Format::kElements == 0; });
  return fits;
}

void tile_rows(DType dtype, const std::byte* rows, std::size_t n_rows, std::size_t cols,
               std::byte* tiles) noexcept {
  visit_tiled(dtype, [&]<class Format>() {
    using Column = BlockColumn<Format>;
    const std::size_t blocks = cols / Format::kElements;
    for_each_tile_block(n_rows, blocks, [&](std::size_t first, std::size_t n, std::size_t block) {
      Column column;
      for (std::size_t row = 0; row < n; ++row) {
        std::memcpy(column.row(row), rows + ((first + row) * blocks + block) * Column::kBytes,
                    Column::kBytes);
      }
      column.write(tiles);
      tiles += kTileRows * Column::kBytes;
    });
  });
}

void untile_rows(DType dtype, const std::byte* tiles, std::size_t n_rows, std::size_t cols,
                 std::byte* rows) noexcept {
  visit_tiled(dtype, [&]<class Format>() {
    using Column = BlockColumn<Format>;
    const std::size_t blocks = cols / Format::kElements;
    for_each_tile_block(n_rows, blocks, [&](std::size_t first, std::size_t n, std::size_t block) {
      Column column;
      column.read(tiles);
      for (std::size_t row = 0; row < n; ++row) {
        std::memcpy(rows + ((first + row) * blocks + block) * Column::kBytes, column.row(row),
                    Column::kBytes);
      }
      tiles += kTileRows * Column::kBytes;
    });
  });
}

}  // namespace mixtral::quant

// The tiled layout.
#include <algorithm>
#include <cstdint>
#include <functional>

#include "quant/quantised.hpp"
#include "support/catch.hpp"
#include "support/guarded.hpp"
#include "support/random.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

std::vector<std::byte> random_bytes(std::size_t n) {
  Random random(n);
  std::vector<std::byte> bytes(n);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
  return bytes;
}

std::size_t tiled_bytes(DType dtype, std::size_t n_rows, std::size_t cols) {
  return WeightView{nullptr, dtype, n_rows, cols, Layout::tiled}.bytes();
}

std::vector<std::byte> tiled(DType dtype, std::span<const std::byte> rows, std::size_t n_rows,
                             std::size_t cols) {
  std::vector<std::byte> tiles(tiled_bytes(dtype, n_rows, cols));
  quant::tile_rows(dtype, rows.data(), n_rows, cols, tiles.data());
  return tiles;
}

std::vector<DType> tiled_types() {
  std::vector<DType> types(kQuantisedTypes.begin(), kQuantisedTypes.end());
  types.push_back(DType::bf16);
  return types;
}

/// Where byte `byte` of block `block` of row `row` lies, spelled out for one type.
using Where = std::function<std::size_t(std::size_t row, std::size_t block, std::size_t byte)>;

void require_layout(DType dtype, const Where& where) {
  constexpr std::size_t kRows = 70;
  constexpr std::size_t kBlocks = 3;
  const BlockShape& shape = block_of(dtype);
  const std::size_t cols = kBlocks * shape.elements;
  const auto rows = random_bytes(bytes_of(dtype, kRows * cols));
  const auto tiles = tiled(dtype, rows, kRows, cols);
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t block = 0; block < kBlocks; ++block) {
      for (std::size_t byte = 0; byte < shape.bytes; ++byte) {
        INFO("row " << row << ", block " << block << ", byte " << byte);
        const std::size_t at =
            row / 32 * (32 * kBlocks * shape.bytes) + where(row % 32, block, byte);
        REQUIRE(tiles[at] == rows[(row * kBlocks + block) * shape.bytes + byte]);
      }
    }
  }
}

}  // namespace

TEST_CASE("a tile of q8_0: words of four quants, then scales, each for 32 rows") {
  require_layout(DType::q8_0, [](std::size_t row, std::size_t block, std::size_t byte) {
    const std::size_t start = block * 32 * 34;
    if (byte < 2) return start + 32 * 32 + row * 2 + byte;  // d
    const std::size_t quant = byte - 2;
    return start + quant / 4 * 128 + row * 4 + quant % 4;
  });
}

TEST_CASE("a tile of q4_k: words of quants, of packed scales, then d, then dmin") {
  require_layout(DType::q4_k, [](std::size_t row, std::size_t block, std::size_t byte) {
    const std::size_t start = block * 32 * 144;
    if (byte < 2) return start + 32 * 140 + row * 2 + byte;             // d
    if (byte < 4) return start + 32 * 140 + 64 + row * 2 + (byte - 2);  // dmin
    if (byte < 16) return start + 32 * 128 + (byte - 4) / 4 * 128 + row * 4 + byte % 4;
    return start + (byte - 16) / 4 * 128 + row * 4 + byte % 4;
  });
}

TEST_CASE("a tile of bf16: pairs of columns") {
  const std::size_t cols = 6;
  const auto rows = random_bytes(32 * cols * 2);
  const auto tiles = tiled(DType::bf16, rows, 32, cols);
  for (std::size_t row = 0; row < 32; ++row) {
    for (std::size_t byte = 0; byte < cols * 2; ++byte) {
      REQUIRE(tiles[byte / 4 * 128 + row * 4 + byte % 4] == rows[row * cols * 2 + byte]);
    }
  }
}

TEST_CASE("rows come back out of their tiles, and the rows that a tile lacks are zero") {
  for (const DType dtype : tiled_types()) {
    for (const std::size_t n_rows : {1, 2, 31, 32, 33, 64, 95}) {
      for (const std::size_t blocks : {1, 3}) {
        INFO(name_of(dtype) << ", " << n_rows << " rows of " << blocks << " blocks");
        const std::size_t cols = std::max<std::size_t>(2, block_of(dtype).elements) * blocks;
        const auto rows = random_bytes(bytes_of(dtype, n_rows * cols));
        const Input input(rows, 1);
        Output<std::byte> tiles(tiled_bytes(dtype, n_rows, cols), 1);
        quant::tile_rows(dtype, input.data(), n_rows, cols, tiles.data());
        REQUIRE(tiles.is_intact());

        Output<std::byte> back(rows.size(), 1);
        quant::untile_rows(dtype, tiles.data(), n_rows, cols, back.data());
        REQUIRE(back.is_intact());
        REQUIRE(std::ranges::equal(back.values(), rows));

        const std::size_t whole = (n_rows + 31) / 32 * 32;
        auto padded = rows;
        padded.resize(bytes_of(dtype, whole * cols));
        std::vector<std::byte> all(padded.size());
        quant::untile_rows(dtype, tiles.data(), whole, cols, all.data());
        REQUIRE(all == padded);
      }
    }
  }
}

TEST_CASE("what can be tiled") {
  REQUIRE(quant::can_tile(DType::q4_k, 512));
  REQUIRE_FALSE(quant::can_tile(DType::q4_k, 512 + 32));
  REQUIRE(quant::can_tile(DType::q8_0, 512 + 32));
  REQUIRE(quant::can_tile(DType::bf16, 6));
  REQUIRE_FALSE(quant::can_tile(DType::bf16, 7));
  REQUIRE_FALSE(quant::can_tile(DType::f16, 32));
  REQUIRE_FALSE(quant::can_tile(DType::f32, 32));
}

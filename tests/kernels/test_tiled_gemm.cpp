// Products of tiled weights against sums in double precision over the weights' and the activations' own
// dequantised values.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "mixtral/quant/activations.hpp"
#include "quant/quantised.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guarded.hpp"
#include "support/kernel_tables.hpp"
#include "support/random.hpp"
#include "support/storage.hpp"

using namespace mixtral;
using namespace mixtral::test;
using quant::BF16Activations;
using quant::F32Activations;
using quant::Q16Activations;
using quant::Q8Activations;

namespace {

enum class Form { f32, f32_blocks, q8, q16, bf16 };

struct Kind {
  DType weights;
  Form activations;
};

KernelTable::Gemm gemm_of(const KernelTable& table, Kind kind) {
  switch (kind.activations) {
    case Form::f32:
    case Form::f32_blocks:
      return table.tiled_f32[index_of(kind.weights)];
    case Form::q8:
      return table.tiled_q8[index_of(kind.weights)];
    case Form::q16:
      return table.tiled_q16[index_of(kind.weights)];
    case Form::bf16:
      return table.tiled_bf16;
  }
  return nullptr;
}

KernelTable::Gemm row_gemm_of(const KernelTable& table, Kind kind) {
  const std::size_t dtype = index_of(kind.weights);
  return kind.activations == Form::q8    ? table.row_q8[dtype]
         : kind.activations == Form::q16 ? table.row_q16[dtype]
                                         : table.row_f32[dtype];
}

float value_of(const Q8Activations& block, std::size_t i) { return block.scale * static_cast<float>(block.q[i]); }
float value_of(const Q16Activations& block, std::size_t i) {
  return value_of(block.coarse, i) + value_of(block.fine, i);
}
float value_of(const BF16Activations& block, std::size_t i) { return to_float(block.values[i]); }

/// How a form of blocks is made and read.
struct BlockForm {
  std::size_t elements;
  std::size_t bytes;
  KernelTable::Blocks round;
  float (*value)(const std::byte* block, std::size_t index);
};

template <class Block>
BlockForm blocks_of(KernelTable::Blocks round) {
  return {Block::kElements, sizeof(Block), round, [](const std::byte* block, std::size_t i) {
            return value_of(*reinterpret_cast<const Block*>(block), i);
          }};
}

BlockForm block_form(Form form, const KernelTable& table) {
  if (form == Form::q8) return blocks_of<Q8Activations>(table.to_q8_blocks);
  if (form == Form::q16) return blocks_of<Q16Activations>(table.to_q16_blocks);
  return blocks_of<BF16Activations>(table.to_bf16_blocks);
}

/// Calls check(table, kind) for every product of tiled weights.
template <class F>
void for_each_kind(F check) {
  for (const KernelTable* table : kernel_tables()) {
    std::vector<Kind> kinds = {{DType::bf16, Form::f32}, {DType::bf16, Form::f32_blocks}};
    if (table->tiled_bf16 != nullptr) kinds.push_back({DType::bf16, Form::bf16});
    for (const DType dtype : kQuantisedTypes) {
      kinds.push_back({dtype, Form::f32});
      kinds.push_back({dtype, Form::f32_blocks});
      kinds.push_back({dtype, has_q8_products(dtype) ? Form::q8 : Form::q16});
    }
    for (const Kind kind : kinds) {
      INFO(name_of(table->isa) << " " << name_of(kind.weights) << " form "
                               << static_cast<int>(kind.activations));
      REQUIRE(gemm_of(*table, kind) != nullptr);
      check(*table, kind);
    }
  }
}

/// Activations [n_tokens, depth] in the form of a kind, and what they are worth.
struct Activations {
  Activations(const std::vector<float>& values, std::size_t depth, Form form,
              const KernelTable& table)
      : wide(values) {
    const std::size_t n_tokens = values.size() / depth;
    if (form == Form::f32) {
      stride = depth * sizeof(float);
      bytes.resize(values.size() * sizeof(float));
      std::memcpy(bytes.data(), values.data(), bytes.size());
      return;
    }
    if (form == Form::f32_blocks) {
      stride = sizeof(F32Activations);
      block_stride = n_tokens * sizeof(F32Activations);
      bytes.resize((depth + F32Activations::kElements - 1) / F32Activations::kElements * block_stride);
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t t = i / depth, k = i % depth;
        std::byte* block = bytes.data() + k / F32Activations::kElements * block_stride + t * stride;
        std::memcpy(block + k % F32Activations::kElements * sizeof(float), &values[i], sizeof(float));
      }
      return;
    }
    const BlockForm blocks = block_form(form, table);
    stride = n_tokens * blocks.bytes;
    bytes.resize((depth + blocks.elements - 1) / blocks.elements * stride);
    for (std::size_t t = 0; t < n_tokens; ++t) {
      std::byte* first = bytes.data() + t * blocks.bytes;
      blocks.round(&values[t * depth], depth, first, stride);
      for (std::size_t k = 0; k < depth; ++k) {
        wide[t * depth + k] = blocks.value(first + k / blocks.elements * stride, k % blocks.elements);
      }
    }
  }

  std::vector<std::byte> bytes;
  std::size_t stride = 0;
  std::size_t block_stride = sizeof(F32Activations);
  std::vector<float> wide;  // [n_tokens, depth]
};

/// Weights as a product takes them.
struct Operand {
  const std::byte* data;
  std::size_t stride;
};

/// Weights [n_rows, depth], in rows and tiled, and what they are worth.
struct TiledWeights {
  TiledWeights(DType dtype, std::size_t n_rows, std::size_t depth, Random& random)
      : values(random.reals(n_rows * depth, 0.1f)),
        row_bytes(bytes_of(dtype, depth)),
        rows(n_rows * row_bytes),
        tiles((n_rows + kTileRows - 1) / kTileRows * kTileRows * row_bytes) {
    quant::quantise(dtype, values, rows.data());
    quant::dequantise(dtype, rows.data(), values);
    quant::tile_rows(dtype, rows.data(), n_rows, depth, tiles.data());
  }

  Operand in_tiles() const noexcept { return {tiles.data(), kTileRows * row_bytes}; }
  Operand in_rows() const noexcept { return {rows.data(), row_bytes}; }

  std::vector<float> values;
  std::size_t row_bytes;
  std::vector<std::byte> rows;
  AlignedBuffer<std::byte> tiles;
};

/// out [rows.size(), n_rows] for the tokens `rows`. Requires that nothing else is written.
std::vector<float> product(KernelTable::Gemm gemm, const Operand& weights,
                           const Activations& activations, std::size_t n_rows, std::size_t depth,
                           const std::vector<std::uint32_t>& rows) {
  const std::size_t stride = n_rows + 3;
  Output<float> out(rows.size() * stride, 1);
  gemm({.weights = weights.data,
        .weight_stride = weights.stride,
        .activations = activations.bytes.data(),
        .activation_stride = activations.stride,
        .activation_rows = rows.data(),
        .out = out.data(),
        .out_stride = stride,
        .n_rows = n_rows,
        .n_tokens = rows.size(),
        .depth = depth,
        .activation_block_stride = activations.block_stride});
  REQUIRE(out.is_intact());
  std::vector<float> values;
  for (std::size_t t = 0; t < rows.size(); ++t) {
    const auto row = out.values().subspan(t * stride, stride);
    values.insert(values.end(), row.begin(), row.begin() + static_cast<std::ptrdiff_t>(n_rows));
    for (const float gap : row.subspan(n_rows)) REQUIRE(std::isnan(gap));
  }
  return values;
}

void check_product(const KernelTable& table, Kind kind, std::size_t n_rows, std::size_t depth,
                   const std::vector<std::uint32_t>& rows) {
  INFO(n_rows << " rows, depth " << depth << ", " << rows.size() << " tokens");
  Random random(n_rows + depth);
  const TiledWeights weights(kind.weights, n_rows, depth, random);
  const std::size_t n_tokens = *std::max_element(rows.begin(), rows.end()) + 1;
  const Activations activations(random.reals(n_tokens * depth, 3), depth, kind.activations, table);
  std::vector<float> expected;
  std::vector<double> floors;
  for (const std::uint32_t token : rows) {
    for (std::size_t r = 0; r < n_rows; ++r) {
      double sum = 0, magnitude = 0;
      for (std::size_t k = 0; k < depth; ++k) {
        const double x = activations.wide[token * depth + k];
        sum += weights.values[r * depth + k] * x;
        // Where a block has a min, its two terms are each up to 0.2 for weights of at most 0.1.
        magnitude += 0.2 * std::abs(x);
      }
      expected.push_back(static_cast<float>(sum));
      floors.push_back(static_cast<double>(depth + 16) * 0x1p-24 * magnitude);
    }
  }
  REQUIRE(difference(product(gemm_of(table, kind), weights.in_tiles(), activations, n_rows, depth, rows),
                     expected, floors) == "");
}

std::vector<std::uint32_t> first_rows(std::size_t n) {
  std::vector<std::uint32_t> rows(n);
  std::iota(rows.begin(), rows.end(), 0u);
  return rows;
}

std::vector<std::size_t> depths_of(DType dtype) {
  if (dtype == DType::bf16) return {2, 14, 130, 258, 16, 18, 32, 34, 62, 96};
  const std::size_t block = block_of(dtype).elements;
  return {block, 2 * block, 3 * block, 8 * block};
}

}  // namespace

TEST_CASE("tiled products at every depth up to a few blocks") {
  for_each_kind([](const KernelTable& table, Kind kind) {
    for (const std::size_t depth : depths_of(kind.weights)) {
      check_product(table, kind, 32, depth, first_rows(1));
      check_product(table, kind, 37, depth, first_rows(5));
    }
  });
}

TEST_CASE("tiled products around the tiles and the groups of tokens") {
  for_each_kind([](const KernelTable& table, Kind kind) {
    const std::size_t depth = depths_of(kind.weights)[2];
    for (const std::size_t n_rows : {1, 15, 31, 33, 64, 70}) {
      check_product(table, kind, n_rows, depth, first_rows(2));
    }
    for (const std::size_t n_tokens : {3, 4, 6, 7, 8, 9, 13, 95, 96, 97, 130, 192, 193}) {
      check_product(table, kind, 33, depth, first_rows(n_tokens));
    }
  });
}

TEST_CASE("tiled products of chosen rows of the activations") {
  for_each_kind([](const KernelTable& table, Kind kind) {
    check_product(table, kind, 33, depths_of(kind.weights)[1], {7, 0, 3, 3, 11});
  });
}

TEST_CASE("a token's tiled products have the same bits alone and among others") {
  for_each_kind([](const KernelTable& table, Kind kind) {
    const std::size_t depth = depths_of(kind.weights)[3], n_rows = 64, n_tokens = 70;
    Random random(3);
    const TiledWeights weights(kind.weights, n_rows, depth, random);
    const Activations activations(random.reals(n_tokens * depth), depth, kind.activations, table);
    const auto gemm = gemm_of(table, kind);
    const auto all = product(gemm, weights.in_tiles(), activations, n_rows, depth, first_rows(n_tokens));
    for (const std::uint32_t t : {0u, 41u, 69u}) {
      const auto alone = product(gemm, weights.in_tiles(), activations, n_rows, depth, {t});
      REQUIRE(bit_difference(alone, std::span(all).subspan(t * n_rows, n_rows)) == "");
    }
  });
}

TEST_CASE("products of quantised rows have the bits of those of tiles") {
  for_each_kind([](const KernelTable& table, Kind kind) {
    if (kind.weights == DType::bf16) return;
    const KernelTable::Gemm by_rows = row_gemm_of(table, kind);
    std::vector<std::size_t> depths = depths_of(kind.weights);
    depths.insert(depths.end(), {768, 2816});  // longer than what is gathered at once, and a part of that
    for (const std::size_t depth : depths) {
      for (const std::size_t n_rows : {32, 33, 70}) {
        Random random(depth + n_rows);
        const TiledWeights weights(kind.weights, n_rows, depth, random);
        for (const std::size_t n_tokens : {1, 5, 66}) {
          const Activations activations(random.reals(n_tokens * depth), depth, kind.activations, table);
          const auto expected = product(gemm_of(table, kind), weights.in_tiles(), activations, n_rows, depth,
                                        first_rows(n_tokens));
          const auto actual = product(by_rows, weights.in_rows(), activations, n_rows, depth,
                                      first_rows(n_tokens));
          INFO(n_rows << " rows, depth " << depth << ", " << n_tokens << " tokens");
          REQUIRE(bit_difference(actual, expected) == "");
        }
      }
    }
  });
}

TEST_CASE("products of f32 activations have the same bits in rows and in blocks") {
  for_each_kind([](const KernelTable& table, Kind kind) {
    if (kind.activations != Form::f32) return;
    const std::size_t depth = depths_of(kind.weights)[3], n_rows = 33, n_tokens = 11;
    Random random(4);
    const TiledWeights weights(kind.weights, n_rows, depth, random);
    const std::vector<float> values = random.reals(n_tokens * depth);
    const auto product_of = [&](Form form) {
      return product(gemm_of(table, kind), weights.in_tiles(), Activations(values, depth, form, table), n_rows, depth,
                     first_rows(n_tokens));
    };
    REQUIRE(bit_difference(product_of(Form::f32_blocks), product_of(Form::f32)) == "");
  });
}

TEST_CASE("a NaN among the activations shows in the product") {
  for_each_kind([](const KernelTable& table, Kind kind) {
    const std::size_t depth = depths_of(kind.weights)[3];
    Random random(5);
    const TiledWeights weights(kind.weights, 32, depth, random);
    std::vector<float> values = random.reals(depth);
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity()}) {
      values[depth / 2] = bad;
      const Activations activations(values, depth, kind.activations, table);
      for (const float out : product(gemm_of(table, kind), weights.in_tiles(), activations, 32, depth, {0})) {
        REQUIRE_FALSE(std::isfinite(out));
      }
    }
  });
}

TEST_CASE("activations in 8 bits are within half a step, with their sums") {
  for (const KernelTable* table : kernel_tables()) {
    INFO(name_of(table->isa));
    for (const std::size_t n : {1, 16, 63, 64, 65, 200}) {
      INFO(n << " values");
      std::vector<float> values = Random(n).reals(n, 5);
      values[n / 2] = -7;
      const std::size_t n_blocks = (n + 63) / 64;
      std::vector<Q8Activations> blocks(2 * n_blocks);
      table->to_q8_blocks(values.data(), n, reinterpret_cast<std::byte*>(blocks.data()),
                          2 * sizeof(Q8Activations));
      for (std::size_t b = 0; b < n_blocks; ++b) {
        const Q8Activations& block = blocks[2 * b];
        float largest = 0;
        std::int32_t sums[4] = {};
        for (std::size_t i = 0; i < 64; ++i) {
          const float value = 64 * b + i < n ? values[64 * b + i] : 0;
          largest = std::max(largest, std::abs(value));
          sums[i / 16] += block.q[i];
          REQUIRE(block.q[i] >= -127);
          REQUIRE(std::abs(block.scale * static_cast<float>(block.q[i]) - value) <=
                  block.scale * 0.5001f);
        }
        REQUIRE(block.scale == largest / 127);
        for (std::size_t g = 0; g < 4; ++g) REQUIRE(block.sum16(g / 2, g % 2) == sums[g]);
        for (std::size_t h = 0; h < 2; ++h) {
          REQUIRE(block.sums32[h] == sums[2 * h] + sums[2 * h + 1]);
        }
      }
    }
  }
}

TEST_CASE("activations in 16 bits are within half a step of their second block") {
  for (const KernelTable* table : kernel_tables()) {
    INFO(name_of(table->isa));
    std::vector<float> values = Random(16).reals(64, 5);
    values[20] = -7;
    Q16Activations block;
    table->to_q16_blocks(values.data(), 64, reinterpret_cast<std::byte*>(&block), sizeof block);
    for (std::size_t i = 0; i < 64; ++i) {
      REQUIRE(std::abs(value_of(block, i) - values[i]) <= 7.0f / 127 / 127 / 4 * 1.01f);
    }
  }
}

TEST_CASE("activations of zero, or next to it, in 8 bits") {
  for (const KernelTable* table : kernel_tables()) {
    for (const float tiny : {0.0f, 1e-45f, -1e-38f}) {
      const std::vector<float> values(64, tiny);
      Q8Activations block;
      table->to_q8_blocks(values.data(), 64, reinterpret_cast<std::byte*>(&block), sizeof block);
      REQUIRE(block.scale == 0);
      for (const std::int8_t q : block.q) REQUIRE(q == 0);
    }
  }
}

// Every instruction set's reading of tiles, through its products.
#include <algorithm>
#include <cmath>
#include <string>

#include "mixtral/quant/activations.hpp"
#include "mixtral/quant/formats.hpp"
#include "quant/quantised.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/kernel_tables.hpp"
#include "support/random.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

constexpr std::size_t kRows = 45;  // the second tile is not full
constexpr std::size_t kDepth = 512;

/// Rows of arbitrary blocks, but for their scales: those are of moderate size.
std::vector<std::byte> random_rows(DType dtype) {
  Random random(static_cast<std::size_t>(dtype));
  std::vector<std::byte> rows(bytes_of(dtype, kRows * kDepth));
  for (std::byte& byte : rows) byte = static_cast<std::byte>(random.below(256));
  quant::AllFormats::visit(dtype, [&]<class Format>() {
    for (std::size_t at = 0; at < rows.size(); at += sizeof(typename Format::Block)) {
      auto& block = *reinterpret_cast<typename Format::Block*>(rows.data() + at);
      if constexpr (requires { block.d; }) block.d = to_f16(random.real());
      if constexpr (requires { block.e; }) block.e = static_cast<std::uint8_t>(120 + random.below(16));
      if constexpr (requires { block.m; }) block.m = to_f16(random.real());
      if constexpr (requires { block.dmin; }) block.dmin = to_f16(random.real());
    }
  });
  return rows;
}

/// The products of tiled `rows` with `n_tokens` activations, token after token.
std::vector<float> product(KernelTable::Gemm gemm, DType dtype, std::span<const std::byte> rows,
                           std::size_t n_tokens, const void* activations,
                           std::size_t activation_stride) {
  const WeightView weights{nullptr, dtype, kRows, kDepth, Layout::tiled};
  AlignedBuffer<std::byte> tiles(weights.bytes());
  quant::tile_rows(dtype, rows.data(), kRows, kDepth, tiles.data());
  std::vector<float> out(n_tokens * kRows);
  gemm({.weights = tiles.data(),
        .weight_stride = kTileRows * weights.row_bytes(),
        .activations = static_cast<const std::byte*>(activations),
        .activation_stride = activation_stride,
        .activation_rows = nullptr,
        .out = out.data(),
        .out_stride = kRows,
        .n_rows = kRows,
        .n_tokens = n_tokens,
        .depth = kDepth});
  return out;
}

/// [kDepth, kRows] from [kRows, kDepth].
std::vector<float> transposed(std::span<const float> weights) {
  std::vector<float> columns(weights.size());
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t k = 0; k < kDepth; ++k) columns[k * kRows + row] = weights[row * kDepth + k];
  }
  return columns;
}

/// Compares to within two roundings of a block's largest weight: a fused multiply-add leaves one
/// out.
std::string weight_difference(DType dtype, std::span<const float> actual,
                              std::span<const float> expected) {
  const std::size_t elements = block_of(dtype).elements;
  std::vector<double> largest(kRows * kDepth / elements);
  for (std::size_t k = 0; k < kDepth; ++k) {
    for (std::size_t row = 0; row < kRows; ++row) {
      double& block = largest[row * (kDepth / elements) + k / elements];
      block = std::max(block, std::abs(double{expected[k * kRows + row]}));
    }
  }
  std::vector<double> floors(expected.size());
  for (std::size_t k = 0; k < kDepth; ++k) {
    for (std::size_t row = 0; row < kRows; ++row) {
      floors[k * kRows + row] = 0x1p-22 * largest[row * (kDepth / elements) + k / elements];
    }
  }
  return difference(actual, expected, floors);
}

}  // namespace

TEST_CASE("every instruction set reads the weights that the blocks mean") {
  // One token for each column: its activation is 1 there and 0 elsewhere, and gets the weights.
  std::vector<float> unit(kDepth * kDepth);
  for (std::size_t k = 0; k < kDepth; ++k) unit[k * kDepth + k] = 1;
  for (const DType dtype : kQuantisedTypes) {
    const auto rows = random_rows(dtype);
    const auto expected = transposed(dequantised(dtype, rows));
    for (const KernelTable* table : kernel_tables()) {
      INFO(name_of(table->isa) << " " << name_of(dtype));
      const auto gemm = table->tiled_f32[static_cast<std::size_t>(dtype)];
      const auto actual = product(gemm, dtype, rows, kDepth, unit.data(), kDepth * sizeof(float));
      REQUIRE(weight_difference(dtype, actual, expected) == "");
    }
  }
}

TEST_CASE("products of bytes read the same weights") {
  // Likewise, with an activation of 1 as 127 / 127.
  using quant::Q8Activations;
  std::vector<Q8Activations> unit(kDepth / Q8Activations::kElements * kDepth);
  for (std::size_t k = 0; k < kDepth; ++k) {
    Q8Activations& x = unit[k / Q8Activations::kElements * kDepth + k];
    const std::size_t i = k % Q8Activations::kElements;
    x.scale = 1.0f / 127;
    x.q[i] = 127;
    x.sums32[i / 32] = 127;
    x.sums16[i / 32] = i % 32 < 16 ? 127 : 0;
  }
  for (const DType dtype : kQuantisedTypes) {
    if (!has_q8_products(dtype)) continue;
    const auto rows = random_rows(dtype);
    const auto expected = transposed(dequantised(dtype, rows));
    for (const KernelTable* table : kernel_tables()) {
      INFO(name_of(table->isa) << " " << name_of(dtype));
      const auto gemm = table->tiled_q8[static_cast<std::size_t>(dtype)];
      const auto actual =
          product(gemm, dtype, rows, kDepth, unit.data(), kDepth * sizeof(Q8Activations));
      REQUIRE(weight_difference(dtype, actual, expected) == "");
    }
  }
}

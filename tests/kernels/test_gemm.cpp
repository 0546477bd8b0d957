#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/gemm_operands.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/kernel_tables.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

/// Around the tiles and the token blocks of every instruction set.
const std::vector<std::size_t> kRowCounts = {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33};
const std::vector<std::size_t> kTokenCounts = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                               12, 13, 31, 32, 33, 47, 48, 49, 95, 96, 97};

template <class F>
void for_each_gemm(F check) {
  for (const KernelTable* table : kernel_tables()) {
    for (const GemmTypes types : gemm_types_of(*table)) {
      INFO(name_of(table->isa) << ", " << name_of(types));
      check(gemm_of(*table, types), types);
    }
  }
}

/// Columns [first, first + n_rows) of the first n_tokens rows of all [.., all_rows].
std::vector<float> part_of(const std::vector<float>& all, std::size_t all_rows, GemmPart part) {
  std::vector<float> values;
  for (std::size_t t = 0; t < part.n_tokens; ++t) {
    const auto row = all.begin() + static_cast<std::ptrdiff_t>(t * all_rows + part.first_row);
    values.insert(values.end(), row, row + static_cast<std::ptrdiff_t>(part.n_rows));
  }
  return values;
}

/// Sums of whole numbers have no rounding: the kernel must equal the oracle.
void check_exact(KernelTable::Gemm kernel, GemmTypes types, std::size_t depth,
                 const std::vector<std::size_t>& row_counts,
                 const std::vector<std::size_t>& token_counts, ByteOffsets offsets) {
  INFO("depth " << depth << ", offsets " << offsets.weights << " " << offsets.activations);
  Random random(depth);
  const std::size_t rows = row_counts.back(), tokens = token_counts.back();
  const GemmOperands operands(random.integers(rows * depth), random.integers(tokens * depth), depth,
                              types, offsets);
  const auto all = product(gemm_of(reference::kTable, types), operands, {0, rows, tokens});
  for (const std::size_t n_rows : row_counts) {
    for (const std::size_t n_tokens : token_counts) {
      INFO(n_rows << " rows, " << n_tokens << " tokens");
      const GemmPart part{0, n_rows, n_tokens};
      REQUIRE(difference(product(kernel, operands, part), part_of(all, rows, part), {0}) == "");
    }
  }
}

}  // namespace

TEST_CASE("instruction sets that this machine can't run are not tested here") {
  if (!skipped_isas().empty()) WARN("skipped: " << skipped_isas());
  REQUIRE(kernel_tables().size() >= 1);
}

TEST_CASE("gemm is exact on whole numbers at every depth up to two steps and one") {
  for_each_gemm([](KernelTable::Gemm kernel, GemmTypes types) {
    for (std::size_t depth = 0; depth <= 65; ++depth) {
      check_exact(kernel, types, depth, {1, 2, 3, 4, 5, 9}, {1, 2, 3, 5, 6, 7, 13},
                  {depth % 4, depth % 3 * size_of(types.activations)});
    }
  });
}

TEST_CASE("gemm is exact on whole numbers around the tiles of rows and tokens") {
  for_each_gemm([](KernelTable::Gemm kernel, GemmTypes types) {
    for (const std::size_t depth : {1, 16, 37, 64}) {
      check_exact(kernel, types, depth, kRowCounts, kTokenCounts,
                  {1, size_of(types.activations)});
    }
  });
}

TEST_CASE("gemm is exact on whole numbers around the blocks of depth") {
  for_each_gemm([](KernelTable::Gemm kernel, GemmTypes types) {
    for (const std::size_t depth : {1023, 1024, 1025, 2047, 2048, 2049, 2079, 4095, 4096, 4097, 6145}) {
      check_exact(kernel, types, depth, {1, 4, 5}, {1, 2, 7}, {depth % 4, 0});
    }
  });
}

TEST_CASE("gemm of weights at any address") {
  for_each_gemm([](KernelTable::Gemm kernel, GemmTypes types) {
    for (std::size_t offset = 0; offset < 16; ++offset) {
      for (const std::size_t depth : {7, 33, 70}) {
        check_exact(kernel, types, depth, {1, 5}, {1, 7},
                    {offset, offset * size_of(types.activations)});
      }
    }
  });
}

TEST_CASE("gemm of nothing writes nothing") {
  for_each_gemm([](KernelTable::Gemm kernel, GemmTypes types) {
    const GemmOperands operands(Random(1).reals(64), Random(2).reals(64), 8, types);
    REQUIRE(product(kernel, operands, {0, 0, 3}).empty());
    REQUIRE(product(kernel, operands, {0, 3, 0}).empty());
  });
}

TEST_CASE("gemm of real numbers stays within the bound of its roundings") {
  for_each_gemm([](KernelTable::Gemm kernel, GemmTypes types) {
    for (const std::size_t depth : {1, 2, 31, 64, 100, 1000, 2048, 6144, 16384}) {
      INFO("depth " << depth);
      Random random(depth);
      const GemmPart part{0, 6, 7};
      const auto weights = rounded(random.reals(part.n_rows * depth, 0.05f), types.weights);
      const auto activations = rounded(random.reals(part.n_tokens * depth, 3), types.activations);
      const GemmOperands operands(weights, activations, depth, types);
      // The narrowest vector has 4 lanes; 16 roundings cover the sums of lanes and of depth blocks.
      const auto bounds = rounding_bounds(weights, activations, depth, part, depth / 4 + 16);
      REQUIRE(difference(product(kernel, operands, part),
                       product(gemm_of(reference::kTable, types), operands, part), bounds) == "");
    }
  });
}

TEST_CASE("gemm gives a token the same bits alone, among others, and wherever its row lies") {
  for_each_gemm([](KernelTable::Gemm kernel, GemmTypes types) {
    for (const std::size_t depth : {65, 2081, 4100}) {
      Random random(depth);
      const std::size_t rows = 9, tokens = 97;
      const GemmOperands operands(random.reals(rows * depth), random.reals(tokens * depth), depth,
                                  types);
      std::vector<float> alone;
      for (std::uint32_t t = 0; t < tokens; ++t) {
        const auto row = product(kernel, operands, {0, rows, 1, &t});
        alone.insert(alone.end(), row.begin(), row.end());
      }
      for (std::size_t n = 1; n <= tokens; n += n < 14 ? 1 : 9) {
        INFO("depth " << depth << ", " << n << " tokens");
        const GemmPart part{0, rows, n};
        REQUIRE(bit_difference(product(kernel, operands, part), part_of(alone, rows, part)) == "");

        std::vector<std::uint32_t> order(n);
        for (std::uint32_t& source : order) {  // with repeats
          source = static_cast<std::uint32_t>(random.below(tokens));
        }
        std::vector<float> expected;
        for (const std::uint32_t source : order) {
          const auto row = alone.begin() + static_cast<std::ptrdiff_t>(source * rows);
          expected.insert(expected.end(), row, row + static_cast<std::ptrdiff_t>(rows));
        }
        REQUIRE(bit_difference(product(kernel, operands, {0, rows, n, order.data()}), expected) ==
                "");
      }
      for (std::size_t first = 0; first < rows; ++first) {
        for (std::size_t n_rows = 1; first + n_rows <= rows; ++n_rows) {
          const GemmPart part{first, n_rows, 7};
          REQUIRE(bit_difference(product(kernel, operands, part), part_of(alone, rows, part)) == "");
        }
      }
    }
  });
}

TEST_CASE("NaN and infinity reach the results of their row and token, and no other") {
  for_each_gemm([](KernelTable::Gemm kernel, GemmTypes types) {
    for (const std::size_t depth : {5, 67, 2090}) {
      Random random(depth);
      const GemmPart part{0, 6, 8};
      const auto weights = random.reals(part.n_rows * depth);
      const auto activations = random.reals(part.n_tokens * depth);
      const auto clean = product(kernel, {weights, activations, depth, types}, part);
      for (const float bad : {kNan, kInf, -kInf}) {
        for (const std::size_t k : {std::size_t{0}, depth / 2, depth - 1}) {
          INFO("depth " << depth << ", " << bad << " at " << k);
          auto bad_weights = weights;
          bad_weights[4 * depth + k] = bad;
          auto bad_activations = activations;
          bad_activations[7 * depth + k] = bad;
          const auto by_weight = product(kernel, {bad_weights, activations, depth, types}, part);
          const auto by_token = product(kernel, {weights, bad_activations, depth, types}, part);
          for (std::size_t i = 0; i < clean.size(); ++i) {
            const bool is_bad_row = i % part.n_rows == 4, is_bad_token = i / part.n_rows == 7;
            const auto as_expected = [&](float value, bool is_bad) {
              if (!is_bad) return bit_difference({&value, 1}, {&clean[i], 1}).empty();
              return std::isnan(bad) ? std::isnan(value) : !std::isfinite(value);
            };
            REQUIRE(as_expected(by_weight[i], is_bad_row));
            REQUIRE(as_expected(by_token[i], is_bad_token));
          }
        }
      }
    }
  });
}

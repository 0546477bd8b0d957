// Layers that work on one row: router, RMSNorm, embedding, rotary angles.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "layers/naive.hpp"
#include "mixtral/layers/embedding.hpp"
#include "mixtral/layers/rms_norm.hpp"
#include "mixtral/layers/rotary.hpp"
#include "mixtral/layers/router.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/kernel_tables.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

struct Routed {
  explicit Routed(std::size_t n_experts, std::size_t top_k)
      : logits(n_experts), experts(top_k), weights(top_k) {}
  std::vector<float> logits;
  std::vector<std::uint32_t> experts;
  std::vector<float> weights;
};

Routed route(const Weight& weight, const std::vector<float>& x, std::size_t top_k,
             const KernelTable& table) {
  Routed routed(weight.rows(), top_k);
  Router(weight.view()).forward_row(x.data(), table, routed.logits, routed.experts, routed.weights);
  return routed;
}

}  // namespace

TEST_CASE("the router chooses and weighs experts by its definition") {
  for (const std::size_t n_experts : {1, 4, 8, 13}) {
    for (const DType dtype : kDTypes) {
      Random random(n_experts);
      const Weight weight = random_weight(random, n_experts, 50, dtype);
      for (std::size_t top_k = 1; top_k <= std::min<std::size_t>(n_experts, 4); ++top_k) {
        const auto x = random.reals(50, 4);
        const auto logits = to_floats(times(weight, to_doubles(x)));
        Routed expected(n_experts, top_k);
        reference::top_k(logits, expected.experts, expected.weights);
        for (const KernelTable* table : kernel_tables()) {
          INFO(name_of(table->isa) << ", top " << top_k << " of " << n_experts);
          const Routed actual = route(weight, x, top_k, *table);
          REQUIRE(actual.experts == expected.experts);
          REQUIRE(difference(actual.weights, expected.weights, {1e-4}) == "");
          REQUIRE(relative_error(actual.logits, logits) < 1e-5);
        }
      }
    }
  }
}

TEST_CASE("equal router logits go to the lower experts, in order and with equal weights") {
  // Experts 1 and 3 have one row, 0 and 2 another with a smaller product.
  std::vector<float> rows;
  for (const float row : {1.0f, 2.0f, 1.0f, 2.0f}) rows.insert(rows.end(), 21, row);
  const Weight weight(rows, 4, 21, DType::f32);
  const std::vector<float> x(21, 0.1f);
  for (const KernelTable* table : kernel_tables()) {
    INFO(name_of(table->isa));
    const Routed two = route(weight, x, 2, *table);
    REQUIRE(two.experts == std::vector<std::uint32_t>{1, 3});
    REQUIRE(two.weights == std::vector<float>{0.5f, 0.5f});
    REQUIRE(route(weight, x, 3, *table).experts == std::vector<std::uint32_t>{1, 3, 0});
    REQUIRE(route(weight, x, 1, *table).weights == std::vector<float>{1});
  }
}

TEST_CASE("the norm and the embedding take weights of every type") {
  for (const DType dtype : kDTypes) {
    Random random(7);
    const std::size_t hidden = 53;
    const Weight gain(random.reals(hidden), 1, hidden, dtype);
    const Weight table_rows(random.reals(3 * hidden), 3, hidden, dtype);
    const auto x = random.reals(hidden, 3);
    double squares = 0;
    for (const float value : x) squares += double{value} * value;
    for (const KernelTable* table : kernel_tables()) {
      INFO(name_of(table->isa) << ", " << name_of(dtype));
      std::vector<float> normed(hidden), embedded(hidden);
      RmsNorm(gain.view(), 1e-2f, *table).forward_row(x.data(), *table, normed.data());
      Embedding(table_rows.view()).forward_row(2, *table, embedded.data());
      for (std::size_t i = 0; i < hidden; ++i) {
        const double expected =
            gain.at(0, i) * x[i] / std::sqrt(squares / static_cast<double>(hidden) + 1e-2f);
        REQUIRE(std::abs(normed[i] - expected) <= 1e-6 * std::abs(expected));
        REQUIRE(embedded[i] == table_rows.at(2, i));
      }
    }
  }
}

TEST_CASE("rotary angles follow their formula") {
  for (const auto& [head_dim, theta] : {std::pair{128, 1e6}, {128, 1e4}, {6, 5e5}, {2, 1e6}}) {
    const Rotary rotary(static_cast<std::size_t>(head_dim), theta);
    REQUIRE(rotary.half() == static_cast<std::size_t>(head_dim) / 2);
    std::vector<float> cos(rotary.half()), sin(rotary.half());
    for (const std::size_t position : {0, 1, 77, 4095, 65535}) {
      rotary.angles(position, cos, sin);
      for (std::size_t i = 0; i < rotary.half(); ++i) {
        const long double power = -2.0L * static_cast<long double>(i) / head_dim;
        const long double angle =
            static_cast<long double>(position) * std::pow(static_cast<long double>(theta), power);
        // Frequency and angle are rounded to f32, as the reference does: a few 2^-24 of the angle.
        const long double tolerance = 2e-7L * angle + 1e-7L;
        INFO("head_dim " << head_dim << ", position " << position << ", pair " << i);
        REQUIRE(std::abs(cos[i] - std::cos(angle)) <= tolerance);
        REQUIRE(std::abs(sin[i] - std::sin(angle)) <= tolerance);
      }
    }
  }
}

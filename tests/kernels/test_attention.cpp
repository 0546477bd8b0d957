// Attention over a cache, the merging of its states, and top-k gating.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "mixtral/kernels/reference.hpp"
#include "mixtral/kernels/top_k.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guarded.hpp"
#include "support/kernel_tables.hpp"
#include "support/random.hpp"
#include "support/storage.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

struct Shape {
  std::size_t group;
  std::size_t head_dim;
};

/// Owns an AttentionState, poisoned and guarded.
struct State {
  explicit State(Shape shape)
      : max(shape.group), sum(shape.group), values(shape.group * shape.head_dim) {}
  State(std::span<const float> max_, std::span<const float> sum_, std::span<const float> values_)
      : max(max_), sum(sum_), values(values_) {}

  AttentionState view() { return {max.data(), sum.data(), values.data()}; }
  bool is_intact() const { return max.is_intact() && sum.is_intact() && values.is_intact(); }

  Output<float> max, sum, values;
};

/// A query and a cache of which positions [begin, end) are real and those around are NaN.
struct Problem {
  Problem(Shape shape_, std::size_t begin_, std::size_t end_, DType dtype_, float query_scale = 1)
      : shape(shape_), begin(begin_), end(end_), dtype(dtype_) {
    Random random(end * 1000 + shape.head_dim);
    query = random.reals(shape.group * shape.head_dim, query_scale);
    keys = random.reals(end * shape.head_dim, 2);
    values = random.reals(end * shape.head_dim, 3);
    std::fill_n(keys.begin(), begin * shape.head_dim, kNan);
    std::fill_n(values.begin(), begin * shape.head_dim, kNan);
  }

  void run(const KernelTable& table, std::size_t from, std::size_t to, State& state) const {
    const Input query_memory(query, sizeof(float));
    const Input key_memory(stored(keys, dtype), size_of(dtype));
    const Input value_memory(stored(values, dtype), size_of(dtype));
    table.attend[index_of(dtype)]({.query = query_memory.floats(),
                                   .keys = key_memory.data(),
                                   .values = value_memory.data(),
                                   .group = shape.group,
                                   .head_dim = shape.head_dim,
                                   .begin = from,
                                   .end = to,
                                   .state = state.view()});
    REQUIRE(state.is_intact());
  }

  Shape shape;
  std::size_t begin, end;
  DType dtype;
  std::vector<float> query, keys, values;
};

/// Rounding errors of a score, on which everything else depends through its exponential.
double score_error(const Problem& problem) {
  double largest = 0;
  for (std::size_t g = 0; g < problem.shape.group; ++g) {
    double sum = 0;
    for (std::size_t i = 0; i < problem.shape.head_dim; ++i) {
      sum += 2 * std::abs(problem.query[g * problem.shape.head_dim + i]);
    }
    largest = std::max(largest, sum);
  }
  return largest * (static_cast<double>(problem.shape.head_dim) / 4 + 4) * 0x1p-24;
}

void require_close(State& actual, State& expected, const Problem& problem) {
  const double score = score_error(problem);
  REQUIRE(difference(actual.max.values(), expected.max.values(), {1e-7, score}) == "");
  // exp(s + e) = exp(s) (1 + e); then one rounding per position and a few of exp itself.
  const double n = static_cast<double>(problem.end - problem.begin);
  const double relative = 2 * score + (n + 8) * 0x1p-24;
  REQUIRE(difference(actual.sum.values(), expected.sum.values(), {relative}) == "");
  for (std::size_t g = 0; g < problem.shape.group; ++g) {
    const auto part = [&](State& state) {
      return state.values.values().subspan(g * problem.shape.head_dim, problem.shape.head_dim);
    };
    const double floor = 3 * double{expected.sum.values()[g]} * relative;  // |values| <= 3
    REQUIRE(difference(part(actual), part(expected), {0, floor}) == "");
  }
}

void check_attend(const Problem& problem) {
  State expected(problem.shape);
  problem.run(reference::kTable, problem.begin, problem.end, expected);
  for (const KernelTable* table : kernel_tables()) {
    INFO(name_of(table->isa) << " " << name_of(problem.dtype) << ", group " << problem.shape.group
                             << ", head_dim " << problem.shape.head_dim << ", positions "
                             << problem.begin << ".." << problem.end);
    State actual(problem.shape);
    problem.run(*table, problem.begin, problem.end, actual);
    require_close(actual, expected, problem);
  }
}

}  // namespace

TEST_CASE("attend over every number of positions up to two blocks and one") {
  for (const DType dtype : kDTypes) {
    for (std::size_t n = 1; n <= 65; ++n) check_attend({{3, 20}, n % 3, n % 3 + n, dtype});
  }
}

TEST_CASE("attend with every head_dim up to two vectors and one, and every group") {
  for (const DType dtype : kDTypes) {
    for (std::size_t head_dim = 1; head_dim <= 34; ++head_dim) {
      check_attend({{6, head_dim}, 0, 5, dtype});
    }
    for (std::size_t group = 1; group <= 17; ++group) check_attend({{group, 17}, 2, 40, dtype});
  }
}

TEST_CASE("attend at true sizes") {
  for (const DType dtype : kDTypes) {
    check_attend({{4, 128}, 256, 512, dtype, 0.1f});
    check_attend({{6, 128}, 1000, 1003, dtype, 0.1f});
    check_attend({{1, 64}, 0, 2000, dtype, 0.1f});
  }
}

TEST_CASE("attend survives scores whose exponentials would overflow") {
  for (const float query_scale : {100.0f, 1000.0f}) {
    for (const KernelTable* table : kernel_tables()) {
      INFO(name_of(table->isa));
      const Problem problem({2, 8}, 0, 70, DType::f32, query_scale);
      State actual(problem.shape), expected(problem.shape);
      problem.run(*table, 0, 70, actual);
      problem.run(reference::kTable, 0, 70, expected);
      REQUIRE(difference(actual.max.values(), expected.max.values(), {1e-6}) == "");
      REQUIRE(difference(actual.sum.values(), expected.sum.values(), {1e-2}) == "");
      REQUIRE(relative_error(actual.values.values(), expected.values.values()) < 1e-2);
    }
  }
}

TEST_CASE("attend gives the same bits whatever lies outside its positions") {
  for (const KernelTable* table : kernel_tables()) {
    Problem problem({6, 32}, 7, 50, DType::bf16);
    State before(problem.shape), after(problem.shape);
    problem.run(*table, 7, 49, before);
    for (std::size_t i = 49 * 32; i < 50 * 32; ++i) problem.keys[i] = problem.values[i] = kNan;
    problem.run(*table, 7, 49, after);
    REQUIRE(bit_difference(after.values.values(), before.values.values()) == "");
    REQUIRE(bit_difference(after.sum.values(), before.sum.values()) == "");
  }
}

TEST_CASE("NaN in a key or value stays visible") {
  for (const KernelTable* table : kernel_tables()) {
    for (const std::size_t position : {0, 31, 32, 40}) {
      INFO(name_of(table->isa) << ", position " << position);
      Problem bad_key({2, 19}, 0, 41, DType::f32), bad_value = bad_key;
      bad_key.keys[position * 19 + 18] = kNan;
      bad_value.values[position * 19 + 18] = kNan;
      State by_key(bad_key.shape), by_value(bad_key.shape);
      bad_key.run(*table, 0, 41, by_key);
      bad_value.run(*table, 0, 41, by_value);
      for (const float value : by_key.values.values()) REQUIRE(std::isnan(value));
      for (std::size_t i = 0; i < 2 * 19; ++i) {
        REQUIRE(std::isnan(by_value.values.values()[i]) == (i % 19 == 18));
      }
    }
  }
}

TEST_CASE("merged parts equal the whole") {
  for (const KernelTable* table : kernel_tables()) {
    for (const std::size_t cut : {1, 31, 32, 33, 64, 99}) {
      INFO(name_of(table->isa) << ", cut at " << cut);
      const Problem problem({6, 33}, 0, 100, DType::f32);
      State expected(problem.shape), into(problem.shape), later(problem.shape);
      problem.run(reference::kTable, 0, 100, expected);
      problem.run(*table, 0, cut, into);
      problem.run(*table, cut, 100, later);
      table->merge(later.view(), 6, 33, into.view());
      REQUIRE(into.is_intact());
      REQUIRE(later.is_intact());
      require_close(into, expected, problem);
    }
  }
}

TEST_CASE("merge") {
  for (const KernelTable* table : kernel_tables()) {
    for (std::size_t head_dim = 1; head_dim <= 34; ++head_dim) {
      INFO(name_of(table->isa) << ", head_dim " << head_dim);
      Random random(head_dim);
      // Later larger, later smaller, equal, and so far apart that one side vanishes.
      const std::vector<float> max = {1, 2, 3, 90, -90}, later_max = {1.5f, 1, 3, -90, 90};
      const std::vector<float> sum = {1, 2, 1.5f, 4, 5}, later_sum = {3, 1, 1, 2, 7};
      const auto values = random.reals(5 * head_dim), later_values = random.reals(5 * head_dim);
      State actual(max, sum, values), expected(max, sum, values);
      State later(later_max, later_sum, later_values);
      table->merge(later.view(), 5, head_dim, actual.view());
      reference::merge(later.view(), 5, head_dim, expected.view());
      REQUIRE(actual.is_intact());
      REQUIRE(bit_difference(actual.max.values(), expected.max.values()) == "");
      REQUIRE(difference(actual.sum.values(), expected.sum.values(), {1e-6}) == "");
      REQUIRE(difference(actual.values.values(), expected.values.values(), {1e-6, 1e-6}) == "");
    }
  }
}

TEST_CASE("merging into an empty state gives the other state") {
  for (const KernelTable* table : kernel_tables()) {
    const std::vector<float> empty_max = {-kInf}, zero = {0}, zeros(20);
    const std::vector<float> max = {0.3f}, sum = {2}, values = Random(1).reals(20);
    State into(empty_max, zero, zeros), later(max, sum, values);
    table->merge(later.view(), 1, 20, into.view());
    REQUIRE(bit_difference(into.max.values(), max) == "");
    REQUIRE(difference(into.sum.values(), sum, {1e-7}) == "");
    REQUIRE(difference(into.values.values(), values, {1e-7}) == "");
  }
}

namespace {

struct Gate {
  explicit Gate(std::size_t top_k) : experts(top_k), weights(top_k, kNan) {}
  std::vector<std::uint32_t> experts;
  std::vector<float> weights;
};

Gate top_k(const std::vector<float>& logits, std::size_t k) {
  Gate gate(k);
  kernels::top_k(logits, gate.experts, gate.weights);
  return gate;
}

}  // namespace

TEST_CASE("top_k agrees with softmax over all, top-k, renormalise") {
  Random random(1);
  for (const std::size_t n_experts : {1, 2, 4, 8, 60}) {
    for (std::size_t k = 1; k <= std::min<std::size_t>(n_experts, 8); ++k) {
      for (int round = 0; round < 50; ++round) {
        // Few distinct values, so that ties are common.
        auto logits = round % 2 == 0 ? random.reals(n_experts, 10) : random.integers(n_experts);
        const Gate actual = top_k(logits, k);
        Gate expected(k);
        reference::top_k(logits, expected.experts, expected.weights);
        REQUIRE(actual.experts == expected.experts);
        REQUIRE(difference(actual.weights, expected.weights, {1e-6, 1e-12}) == "");
      }
    }
  }
}

TEST_CASE("top_k breaks ties to the lower index") {
  REQUIRE(top_k({0, 0, 0, 0}, 2).experts == std::vector<std::uint32_t>{0, 1});
  REQUIRE(top_k({1, 2, 1, 2}, 3).experts == std::vector<std::uint32_t>{1, 3, 0});
  REQUIRE(top_k({-0.0f, 0.0f}, 1).experts == std::vector<std::uint32_t>{0});
  REQUIRE(top_k({-kInf, -kInf, 5}, 2).experts == std::vector<std::uint32_t>{2, 0});
}

TEST_CASE("top_k weights sum to one and survive large logits") {
  REQUIRE(top_k({1e30f, -1e30f, 1e30f}, 2).weights == std::vector<float>{0.5f, 0.5f});
  REQUIRE(top_k({3e38f, -3e38f}, 2).weights == std::vector<float>{1, 0});
  REQUIRE(top_k({7}, 1).weights == std::vector<float>{1});
}

TEST_CASE("a NaN logit stays visible in the weights, wherever it is") {
  for (std::size_t at = 0; at < 4; ++at) {
    std::vector<float> logits = {4, 3, 2, 1};
    logits[at] = kNan;
    const Gate gate = top_k(logits, 2);
    REQUIRE(std::isnan(gate.weights[0]));
    REQUIRE(std::isnan(gate.weights[1]));
    REQUIRE(gate.experts[0] != gate.experts[1]);
  }
}

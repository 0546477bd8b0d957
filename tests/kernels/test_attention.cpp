// Attention over a cache, the merging of its states, and top-k gating.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
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

constexpr std::size_t kNoWindow = std::numeric_limits<std::size_t>::max();

struct Shape {
  std::size_t group;
  std::size_t head_dim;
  std::size_t n_tokens = 1;

  std::size_t rows() const { return n_tokens * group; }
};

/// Owns an AttentionState, poisoned and guarded.
struct State {
  explicit State(Shape shape)
      : max(shape.rows()), sum(shape.rows()), values(shape.rows() * shape.head_dim) {}
  State(std::span<const float> max_, std::span<const float> sum_, std::span<const float> values_)
      : max(max_), sum(sum_), values(values_) {}

  AttentionState view() { return {max.data(), sum.data(), values.data()}; }
  bool is_intact() const { return max.is_intact() && sum.is_intact() && values.is_intact(); }

  Output<float> max, sum, values;
};

/// Rows [n, head_dim] as a cache keeps keys: tiles of 32 rows, element by element. The rows that the last
/// tile lacks are NaN.
std::vector<float> in_tiles(std::span<const float> rows, std::size_t head_dim) {
  const std::size_t n = rows.size() / head_dim;
  std::vector<float> tiles((n + 31) / 32 * 32 * head_dim, kNan);
  for (std::size_t p = 0; p < n; ++p) {
    for (std::size_t d = 0; d < head_dim; ++d) {
      tiles[(p / 32 * head_dim + d) * 32 + p % 32] = rows[p * head_dim + d];
    }
  }
  return tiles;
}

/// The same of q8_0: of a tile and 32 elements, first their quants and then the scales.
std::vector<std::byte> q8_tiles(std::span<const float> rows, std::size_t head_dim) {
  const std::size_t n = rows.size() / head_dim, n_blocks = head_dim / 32;
  const std::vector<std::byte> blocks = stored(rows, DType::q8_0);
  std::vector<std::byte> tiles((n + 31) / 32 * n_blocks * 32 * 34, std::byte{0xff});
  for (std::size_t p = 0; p < n; ++p) {
    for (std::size_t b = 0; b < n_blocks; ++b) {
      const std::byte* block = &blocks[(p * n_blocks + b) * 34];
      std::byte* to = &tiles[(p / 32 * n_blocks + b) * 32 * 34];
      for (std::size_t d = 0; d < 32; ++d) to[d * 32 + p % 32] = block[2 + d];
      std::copy_n(block, 2, to + 32 * 32 + p % 32 * 2);
    }
  }
  return tiles;
}

std::vector<std::byte> key_tiles(std::span<const float> keys, std::size_t head_dim, DType dtype) {
  return dtype == DType::q8_0 ? q8_tiles(keys, head_dim) : stored(in_tiles(keys, head_dim), dtype);
}

/// Queries of consecutive tokens, the last one at position end - 1, and a cache of `end` positions of
/// which those that no token sees are NaN. head_dim is rounded up to whole blocks of the type.
struct Problem {
  Problem(Shape shape_, std::size_t end_, DType dtype_, std::size_t window_ = kNoWindow,
          float query_scale = 1)
      : shape(shape_), end(end_), dtype(dtype_), window(window_) {
    shape.head_dim = whole_blocks(shape.head_dim, dtype);
    Random random(end * 1000 + shape.head_dim);
    query = random.reals(shape.rows() * shape.head_dim, query_scale);
    keys = random.reals(end * shape.head_dim, 2);
    values = random.reals(end * shape.head_dim, 3);
    std::fill_n(keys.begin(), begin() * shape.head_dim, kNan);
    std::fill_n(values.begin(), begin() * shape.head_dim, kNan);
  }

  std::size_t position() const { return end - shape.n_tokens; }
  /// First position that a token sees.
  std::size_t begin() const { return position() + 1 - std::min(window, position() + 1); }

  /// Token `token` alone.
  Problem alone(std::size_t token) const {
    Problem problem = *this;
    const std::size_t row = shape.group * shape.head_dim;
    problem.shape.n_tokens = 1;
    problem.end = position() + token + 1;
    problem.query.assign(&query[token * row], &query[token * row] + row);
    problem.keys.resize(problem.end * shape.head_dim);
    problem.values.resize(problem.end * shape.head_dim);
    return problem;
  }

  void run(const KernelTable& table, State& state) const { run(table, begin(), end, state); }

  void run(const KernelTable& table, std::size_t from, std::size_t to, State& state,
           std::size_t state_stride = 0) const {
    const Input query_memory(query, sizeof(float));
    const std::size_t offset = is_quantised(dtype) ? 2 : size_of(dtype);
    const Input key_memory(key_tiles(keys, shape.head_dim, dtype), offset);
    const Input value_memory(stored(values, dtype), offset);
    Output<float> packed(query.size());
    table.attend[index_of(dtype)]({.query = query_memory.floats(),
                                   .keys = key_memory.data(),
                                   .values = value_memory.data(),
                                   .unit_stride = bytes_of(dtype, kAttentionUnit * shape.head_dim),
                                   .n_tokens = shape.n_tokens,
                                   .group = shape.group,
                                   .head_dim = shape.head_dim,
                                   .token_stride = shape.group * shape.head_dim,
                                   .position = position(),
                                   .window = window,
                                   .begin = from,
                                   .end = to,
                                   .packed = packed.data(),
                                   .state = state.view(),
                                   .state_stride = state_stride});
    REQUIRE(state.is_intact());
    REQUIRE(packed.is_intact());
  }

  Shape shape;
  std::size_t end;
  DType dtype;
  std::size_t window;
  std::vector<float> query, keys, values;
};

/// Rounding errors of a score, on which everything else depends through its exponential.
double score_error(const Problem& problem) {
  double largest = 0;
  for (std::size_t row = 0; row < problem.shape.rows(); ++row) {
    double sum = 0;
    for (std::size_t i = 0; i < problem.shape.head_dim; ++i) {
      sum += 2 * std::abs(problem.query[row * problem.shape.head_dim + i]);
    }
    largest = std::max(largest, sum);
  }
  return largest * (static_cast<double>(problem.shape.head_dim) / 4 + 4) * 0x1p-24;
}

void require_close(State& actual, State& expected, const Problem& problem) {
  const double score = score_error(problem);
  REQUIRE(difference(actual.max.values(), expected.max.values(), {1e-7, score}) == "");
  // exp(s + e) = exp(s) (1 + e); then one rounding per position and a few of exp itself.
  const double n = static_cast<double>(problem.end - problem.begin());
  const double relative = 2 * score + (n + 8) * 0x1p-24;
  REQUIRE(difference(actual.sum.values(), expected.sum.values(), {relative}) == "");
  for (std::size_t row = 0; row < problem.shape.rows(); ++row) {
    const auto part = [&](State& state) {
      return state.values.values().subspan(row * problem.shape.head_dim, problem.shape.head_dim);
    };
    const double floor = 3 * double{expected.sum.values()[row]} * relative;  // |values| <= 3
    REQUIRE(difference(part(actual), part(expected), {0, floor}) == "");
  }
}

std::string name_of(const Problem& problem, const KernelTable& table) {
  return std::string(name_of(table.isa)) + " " + std::string(name_of(problem.dtype)) + ", group " +
         std::to_string(problem.shape.group) + ", head_dim " +
         std::to_string(problem.shape.head_dim) + ", " + std::to_string(problem.shape.n_tokens) +
         " tokens, positions " + std::to_string(problem.begin()) + ".." +
         std::to_string(problem.end) + ", window " + std::to_string(problem.window);
}

void check_attend(const Problem& problem) {
  State expected(problem.shape);
  problem.run(reference::kTable, expected);
  for (const KernelTable* table : kernel_tables()) {
    INFO(name_of(problem, *table));
    State actual(problem.shape);
    problem.run(*table, actual);
    require_close(actual, expected, problem);
  }
}

/// Tokens in a tile must get the bits that each of them gets alone.
void check_tile(const Problem& problem) {
  const std::size_t row = problem.shape.group * problem.shape.head_dim;
  for (const KernelTable* table : kernel_tables()) {
    State tile(problem.shape);
    problem.run(*table, tile);
    for (std::size_t token = 0; token < problem.shape.n_tokens; ++token) {
      INFO(name_of(problem, *table) << ", token " << token);
      const Problem alone = problem.alone(token);
      State state(alone.shape);
      alone.run(*table, state);
      const auto heads = [&](Output<float>& all) {
        return all.values().subspan(token * problem.shape.group, problem.shape.group);
      };
      REQUIRE(bit_difference(heads(tile.max), state.max.values()) == "");
      REQUIRE(bit_difference(heads(tile.sum), state.sum.values()) == "");
      REQUIRE(bit_difference(tile.values.values().subspan(token * row, row),
                             state.values.values()) == "");
    }
  }
}

}  // namespace

TEST_CASE("attend over every number of positions up to two blocks and one") {
  for (const DType dtype : kCacheDTypes) {
    for (std::size_t n = 1; n <= 65; ++n) check_attend({{3, 20}, n % 3 + n, dtype, n});
  }
}

TEST_CASE("attend with every head_dim up to two vectors and one, and every group") {
  for (const DType dtype : kCacheDTypes) {
    for (std::size_t head_dim = 1; head_dim <= 34; ++head_dim) {
      check_attend({{6, head_dim}, 5, dtype});
    }
    for (std::size_t group = 1; group <= 25; ++group) check_attend({{group, 17}, 40, dtype, 38});
  }
}

TEST_CASE("attend at true sizes") {
  for (const DType dtype : kCacheDTypes) {
    check_attend({{4, 128}, 512, dtype, 256, 0.1f});
    check_attend({{6, 128}, 1003, dtype, 3, 0.1f});
    check_attend({{6, 128, 16}, 600, dtype, kNoWindow, 0.1f});
    check_attend({{1, 64}, 2000, dtype, kNoWindow, 0.1f});
  }
}

TEST_CASE("attend to tiles of tokens, of every size, in windows, and over the borders of units") {
  for (const DType dtype : kCacheDTypes) {
    for (const std::size_t group : {1, 3, 4, 6}) {
      for (const std::size_t n_tokens : {2, 3, 5, 13, 16}) {
        for (const std::size_t window : {kNoWindow, std::size_t{1}, std::size_t{7}, std::size_t{256}}) {
          for (const std::size_t end : {16, 260, 515}) {
            const Problem problem({group, 18, n_tokens}, end, dtype, window, 0.5f);
            check_attend(problem);
            check_tile(problem);
          }
        }
      }
    }
  }
}

TEST_CASE("a q8_0 cache gives the bits of an f32 cache that holds its values") {
  for (const std::size_t window : {kNoWindow, std::size_t{40}}) {
    for (const std::size_t n_tokens : {1, 16}) {
      const Problem problem({6, 64, n_tokens}, 300, DType::q8_0, window, 0.5f);
      Problem wide = problem;
      wide.dtype = DType::f32;
      wide.keys = rounded(problem.keys, DType::q8_0);
      wide.values = rounded(problem.values, DType::q8_0);
      for (const KernelTable* table : kernel_tables()) {
        INFO(name_of(problem, *table));
        State actual(problem.shape), expected(problem.shape);
        problem.run(*table, actual);
        wide.run(*table, expected);
        REQUIRE(bit_difference(actual.max.values(), expected.max.values()) == "");
        REQUIRE(bit_difference(actual.sum.values(), expected.sum.values()) == "");
        REQUIRE(bit_difference(actual.values.values(), expected.values.values()) == "");
      }
    }
  }
}

TEST_CASE("a token gets the same bits whatever others of its tile see before and behind it") {
  for (const float poison : {kNan, kInf}) {
    for (const std::size_t end : {40, 260}) {
      // The last 5 of 8 tokens see the end, the first 5 what then leaves the window.
      Problem problem({2, 20, 8}, end, DType::f32, 30);
      const std::size_t behind = end - 5, before = problem.begin() + 5;
      for (std::vector<float>* rows : {&problem.keys, &problem.values}) {
        const auto at = [&](std::size_t p) { return rows->begin() + static_cast<std::ptrdiff_t>(p * 20); };
        std::fill(at(0), at(before), poison);
        std::fill(at(behind), rows->end(), poison);
      }
      for (const bool first : {true, false}) {
        // One side healed, the first 3 or the last 3 tokens see nothing else.
        Problem half = problem;
        const std::size_t from = first ? 0 : behind, to = first ? before : end;
        for (std::size_t i = from * 20; i < to * 20; ++i) half.keys[i] = half.values[i] = 0.5f;
        for (const KernelTable* table : kernel_tables()) {
          State tile(half.shape);
          half.run(*table, tile);
          for (const std::size_t token : first ? std::array{0, 1, 2} : std::array{5, 6, 7}) {
            INFO(name_of(half, *table) << ", " << poison << " around token " << token);
            const Problem alone = half.alone(token);
            State state(alone.shape);
            alone.run(*table, state);
            REQUIRE(std::isfinite(state.sum.values()[0]));
            REQUIRE(std::isfinite(state.values.values()[0]));
            REQUIRE(bit_difference(tile.values.values().subspan(token * 40, 40),
                                   state.values.values()) == "");
          }
        }
      }
    }
  }
}

TEST_CASE("units merged one by one give the bits of all at once") {
  for (const std::size_t window : {kNoWindow, std::size_t{300}}) {
    const Problem problem({6, 33}, 700, DType::f16, window, 0.5f);
    for (const KernelTable* table : kernel_tables()) {
      INFO(name_of(problem, *table));
      State expected(problem.shape), whole(problem.shape), unit(problem.shape);
      problem.run(*table, expected);
      for (std::size_t begin = problem.begin(); begin < 700; begin = (begin / 256 + 1) * 256) {
        const std::size_t end = std::min<std::size_t>((begin / 256 + 1) * 256, 700);
        problem.run(*table, begin, end, begin == problem.begin() ? whole : unit);
        if (begin > problem.begin()) table->merge(unit.view(), 6, 33, whole.view());
      }
      REQUIRE(bit_difference(whole.max.values(), expected.max.values()) == "");
      REQUIRE(bit_difference(whole.sum.values(), expected.sum.values()) == "");
      REQUIRE(bit_difference(whole.values.values(), expected.values.values()) == "");
    }
  }
}

TEST_CASE("units with states of their own get the bits that each gets alone") {
  constexpr std::size_t kGroup = 6, kHeadDim = 33, kValues = kGroup * kHeadDim, kStride = kValues + 5;
  for (const std::size_t window : {kNoWindow, std::size_t{300}}) {
    const Problem problem({kGroup, kHeadDim}, 700, DType::f16, window, 0.5f);
    const std::vector<float> poison(3 * kStride, kNan);
    for (const KernelTable* table : kernel_tables()) {
      INFO(name_of(table->isa) << ", window " << window);
      State all(poison, poison, poison);
      problem.run(*table, problem.begin(), 700, all, kStride);
      std::size_t at = 0;
      for (std::size_t begin = problem.begin(); begin < 700; begin = (begin / 256 + 1) * 256, at += kStride) {
        State alone(problem.shape);
        problem.run(*table, begin, std::min<std::size_t>((begin / 256 + 1) * 256, 700), alone);
        REQUIRE(bit_difference(all.max.values().subspan(at, kGroup), alone.max.values()) == "");
        REQUIRE(bit_difference(all.sum.values().subspan(at, kGroup), alone.sum.values()) == "");
        REQUIRE(bit_difference(all.values.values().subspan(at, kValues), alone.values.values()) == "");
      }
    }
  }
}

TEST_CASE("attend survives scores whose exponentials would overflow") {
  for (const float query_scale : {100.0f, 1000.0f}) {
    for (const KernelTable* table : kernel_tables()) {
      INFO(name_of(table->isa));
      const Problem problem({2, 8}, 70, DType::f32, kNoWindow, query_scale);
      State actual(problem.shape), expected(problem.shape);
      problem.run(*table, actual);
      problem.run(reference::kTable, expected);
      REQUIRE(difference(actual.max.values(), expected.max.values(), {1e-6}) == "");
      REQUIRE(difference(actual.sum.values(), expected.sum.values(), {1e-2}) == "");
      REQUIRE(relative_error(actual.values.values(), expected.values.values()) < 1e-2);
    }
  }
}

TEST_CASE("attend gives the same bits whatever lies outside its positions") {
  for (const KernelTable* table : kernel_tables()) {
    Problem problem({6, 32}, 50, DType::bf16, 43);
    State before(problem.shape), after(problem.shape);
    problem.run(*table, 7, 49, before);
    for (std::size_t i = 49 * 32; i < 50 * 32; ++i) problem.keys[i] = problem.values[i] = kNan;
    problem.run(*table, 7, 49, after);
    REQUIRE(bit_difference(after.values.values(), before.values.values()) == "");
    REQUIRE(bit_difference(after.sum.values(), before.sum.values()) == "");
  }
}

TEST_CASE("NaN in a key or value of a q8_0 cache makes its block NaN") {
  for (const KernelTable* table : kernel_tables()) {
    for (const std::size_t position : {0, 33}) {
      INFO(name_of(table->isa) << ", position " << position);
      Problem bad_key({2, 64}, 41, DType::q8_0), bad_value = bad_key;
      bad_key.keys[position * 64 + 40] = kNan;
      bad_value.values[position * 64 + 40] = kInf;
      State by_key(bad_key.shape), by_value(bad_key.shape);
      bad_key.run(*table, by_key);
      bad_value.run(*table, by_value);
      for (const float value : by_key.values.values()) REQUIRE(std::isnan(value));
      for (std::size_t i = 0; i < 2 * 64; ++i) {
        REQUIRE(std::isnan(by_value.values.values()[i]) == (i % 64 >= 32));
      }
    }
  }
}

TEST_CASE("NaN in a key or value stays visible") {
  for (const KernelTable* table : kernel_tables()) {
    for (const std::size_t position : {0, 31, 32, 40}) {
      INFO(name_of(table->isa) << ", position " << position);
      Problem bad_key({2, 19}, 41, DType::f32), bad_value = bad_key;
      bad_key.keys[position * 19 + 18] = kNan;
      bad_value.values[position * 19 + 18] = kNan;
      State by_key(bad_key.shape), by_value(bad_key.shape);
      bad_key.run(*table, by_key);
      bad_value.run(*table, by_value);
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
      const Problem problem({6, 33}, 100, DType::f32);
      State expected(problem.shape), into(problem.shape), later(problem.shape);
      problem.run(reference::kTable, expected);
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

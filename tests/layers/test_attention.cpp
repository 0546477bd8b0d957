// The attention layer against its definition in double precision, and what it promises to the bit.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layers/naive.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/layers/attention.hpp"
#include "mixtral/layers/rotary.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/kernel_tables.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

constexpr std::size_t kHidden = 40;
constexpr double kTheta = 10000;

/// Random weights of one attention layer.
struct Model {
  explicit Model(const AttentionShape& shape_, DType dtype = DType::f32) : shape(shape_) {
    Random random(shape.n_heads * 100 + shape.head_dim);
    query = random_weight(random, shape.q_dim(), kHidden, dtype);
    key = random_weight(random, shape.kv_dim(), kHidden, dtype);
    value = random_weight(random, shape.kv_dim(), kHidden, dtype);
    output = random_weight(random, kHidden, shape.q_dim(), dtype);
  }

  Attention layer() const {
    return Attention(Linear(query.view()), Linear(key.view()), Linear(value.view()),
                     Linear(output.view()), shape);
  }

  KvCache cache(std::size_t n_ctx, DType dtype) const {
    Config config;
    config.n_layers = 2;
    config.n_kv_heads = shape.n_kv_heads;
    config.head_dim = shape.head_dim;
    return KvCache(config, n_ctx, dtype);
  }

  AttentionShape shape;
  Weight query, key, value, output;
};

std::string name_of(const AttentionShape& shape) {
  return std::to_string(shape.n_heads) + "/" + std::to_string(shape.n_kv_heads) + " heads of " +
         std::to_string(shape.head_dim) + ", window " +
         (shape.sliding_window ? std::to_string(*shape.sliding_window) : "none");
}

/// Rotates the pairs (x[i], x[i + half]) of each head by position * theta^(-2i/head_dim).
void rotate(Doubles& x, std::size_t head_dim, std::size_t position) {
  for (std::size_t head = 0; head < x.size(); head += head_dim) {
    for (std::size_t i = 0; i < head_dim / 2; ++i) {
      const double power = -2.0 * static_cast<double>(i) / static_cast<double>(head_dim);
      const double angle = static_cast<double>(position) * std::pow(kTheta, power);
      const double a = x[head + i], b = x[head + i + head_dim / 2];
      x[head + i] = a * std::cos(angle) - b * std::sin(angle);
      x[head + i + head_dim / 2] = b * std::cos(angle) + a * std::sin(angle);
    }
  }
}

/// One query head's softmax(q k / sqrt(head_dim)) v over positions [first, last].
Doubles attend(const double* query, const std::vector<Doubles>& keys,
               const std::vector<Doubles>& values, std::size_t kv_offset, std::size_t head_dim,
               std::size_t first, std::size_t last) {
  Doubles out(head_dim);
  double denominator = 0;
  for (std::size_t p = first; p <= last; ++p) {
    double score = 0;
    for (std::size_t i = 0; i < head_dim; ++i) score += query[i] * keys[p][kv_offset + i];
    const double weight = std::exp(score / std::sqrt(static_cast<double>(head_dim)));
    for (std::size_t i = 0; i < head_dim; ++i) out[i] += weight * values[p][kv_offset + i];
    denominator += weight;
  }
  for (double& value : out) value /= denominator;
  return out;
}

/// The layer's output for a whole sequence x [n, hidden], keys and values rounded to `cache_dtype`.
std::vector<float> by_definition(const Model& model, const std::vector<float>& x,
                                 DType cache_dtype) {
  const AttentionShape& shape = model.shape;
  std::vector<Doubles> keys, values;
  std::vector<float> out;
  for (std::size_t position = 0; position < x.size() / kHidden; ++position) {
    const Doubles input = to_doubles(row_of(x, kHidden, position));
    Doubles queries = times(model.query, input), key = times(model.key, input);
    rotate(queries, shape.head_dim, position);
    rotate(key, shape.head_dim, position);
    keys.push_back(to_doubles(rounded(to_floats(key), cache_dtype)));
    values.push_back(to_doubles(rounded(to_floats(times(model.value, input)), cache_dtype)));

    const std::size_t window = shape.sliding_window.value_or(position + 1);
    const std::size_t first = position + 1 - std::min(window, position + 1);
    Doubles heads;
    for (std::size_t h = 0; h < shape.n_heads; ++h) {
      const Doubles head = attend(&queries[h * shape.head_dim], keys, values,
                                  h / shape.group() * shape.head_dim, shape.head_dim, first,
                                  position);
      heads.insert(heads.end(), head.begin(), head.end());
    }
    const std::vector<float> row = to_floats(times(model.output, heads));
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

/// Consecutive tokens of one sequence: rows [first, first + count) of its x.
struct Chunk {
  KvCache* cache;
  const std::vector<float>* x;
  std::size_t first;
  std::size_t count;
};

/// The layer's output rows for a batch of chunks.
std::vector<float> run(const Model& model, const std::vector<Chunk>& batch,
                       const KernelTable& table, Executor& executor) {
  std::vector<TokenPlace> places;
  std::vector<float> input;
  std::size_t n_ctx = 0;
  for (const Chunk& chunk : batch) {
    for (std::size_t i = 0; i < chunk.count; ++i) places.push_back({chunk.cache, chunk.first + i});
    const std::span rows = std::span(*chunk.x).subspan(chunk.first * kHidden,
                                                       chunk.count * kHidden);
    input.insert(input.end(), rows.begin(), rows.end());
    n_ctx = std::max(n_ctx, chunk.cache->capacity());
  }
  AttentionScratch scratch(places.size(), n_ctx, model.shape, executor.n_threads());
  const Rotary rotary(model.shape.head_dim, kTheta);
  for (std::size_t t = 0; t < places.size(); ++t) {
    rotary.angles(places[t].position,
                  scratch.cos.span().subspan(t * rotary.half(), rotary.half()),
                  scratch.sin.span().subspan(t * rotary.half(), rotary.half()));
  }
  std::vector<float> out(input.size());
  const std::size_t layer = 1;
  model.layer().forward(
      ActivationView::of({input.data(), places.size(), kHidden}), places, layer, {table, executor}, scratch,
      {out.data(), places.size(), kHidden});
  return out;
}

/// A whole sequence in chunks of `sizes`, the last one repeated.
std::vector<float> run_in_chunks(const Model& model, const std::vector<float>& x, DType cache_dtype,
                                 const std::vector<std::size_t>& sizes, const KernelTable& table,
                                 Executor& executor) {
  const std::size_t n = x.size() / kHidden;
  KvCache cache = model.cache(n, cache_dtype);
  std::vector<float> out;
  for (std::size_t first = 0, i = 0; first < n; ++i) {
    const std::size_t count = std::min(sizes[std::min(i, sizes.size() - 1)], n - first);
    const auto rows = run(model, {{&cache, &x, first, count}}, table, executor);
    out.insert(out.end(), rows.begin(), rows.end());
    first += count;
  }
  return out;
}

/// Rounding a key that lies on the border of two values may go either way.
double tolerance(DType cache_dtype) {
  switch (cache_dtype) {
    case DType::f32:
      return 1e-5;
    case DType::f16:
      return 1e-3;
    default:
      return 1e-2;
  }
}

/// Whether a cache of that type can hold such heads.
bool can_hold(DType cache_dtype, const AttentionShape& shape) {
  return shape.head_dim % block_of(cache_dtype).elements == 0;
}

const std::vector<AttentionShape> kShapes = {
    {4, 4, 10, {}}, {8, 2, 16, {}}, {6, 1, 34, {}}, {12, 2, 6, {}}, {100, 1, 4, {}},
    {8, 2, 16, 1},  {6, 1, 8, 7},   {6, 2, 32, 7},  {3, 1, 64, {}},
};

}  // namespace

TEST_CASE("attention equals its definition") {
  SerialExecutor serial;
  const auto x = Random(1).reals(37 * kHidden);
  for (const AttentionShape& shape : kShapes) {
    for (const DType dtype : kDTypes) {
      const Model model(shape, dtype);
      for (const DType cache_dtype : kCacheDTypes) {
        if (!can_hold(cache_dtype, shape)) continue;
        const auto expected = by_definition(model, x, cache_dtype);
        for (const KernelTable* table : kernel_tables()) {
          INFO(name_of(table->isa) << ", weights " << name_of(dtype) << ", cache "
                                   << name_of(cache_dtype) << ", " << name_of(shape));
          const auto actual = run_in_chunks(model, x, cache_dtype, {37}, *table, serial);
          REQUIRE(relative_error(actual, expected) < tolerance(cache_dtype));
        }
      }
    }
  }
}

TEST_CASE("attention over several units of positions equals its definition") {
  SerialExecutor serial;
  const auto x = Random(2).reals(600 * kHidden);
  for (const std::optional<std::size_t> window : {std::optional<std::size_t>{}, {300}, {256}}) {
    const Model model({4, 2, 8, window});
    const auto expected = by_definition(model, x, DType::f32);
    for (const KernelTable* table : kernel_tables()) {
      INFO(name_of(table->isa) << ", " << name_of(model.shape));
      const auto actual = run_in_chunks(model, x, DType::f32, {600}, *table, serial);
      REQUIRE(relative_error(actual, expected) < 1e-5);
    }
  }
}

TEST_CASE("a prompt gives the same bits whole, in any chunks, and token by token") {
  SerialExecutor serial;
  const auto x = Random(3).reals(300 * kHidden);
  for (const AttentionShape& shape : kShapes) {
    const Model model(shape, DType::bf16);
    for (const KernelTable* table : kernel_tables()) {
      for (const DType cache_dtype : kCacheDTypes) {
        if (!can_hold(cache_dtype, shape)) continue;
        const auto whole = run_in_chunks(model, x, cache_dtype, {300}, *table, serial);
        for (const std::vector<std::size_t>& sizes :
             std::vector<std::vector<std::size_t>>{{1}, {2}, {255, 1}, {256, 44}, {7, 250, 13}}) {
          INFO(name_of(table->isa) << ", cache " << name_of(cache_dtype) << ", " << name_of(shape)
                                   << ", first chunk " << sizes.front());
          const auto chunks = run_in_chunks(model, x, cache_dtype, sizes, *table, serial);
          REQUIRE(bit_difference(chunks, whole) == "");
        }
      }
    }
  }
}

TEST_CASE("no thread count changes a bit of attention, in prompts and in decoding") {
  SerialExecutor serial;
  const auto x = Random(4).reals(530 * kHidden);
  for (const std::optional<std::size_t> window : {std::optional<std::size_t>{}, {300}}) {
    const Model model({6, 2, 32, window});
    for (const KernelTable* table : kernel_tables()) {
      for (const DType cache_dtype : {DType::f16, DType::q8_0}) {
        const auto expected = run_in_chunks(model, x, cache_dtype, {500, 1}, *table, serial);
        for (std::size_t n_threads = 1; n_threads <= 5; ++n_threads) {
          INFO(name_of(table->isa) << ", " << n_threads << " threads, " << name_of(model.shape)
                                   << ", cache " << name_of(cache_dtype));
          ThreadPool pool(n_threads);
          const auto actual = run_in_chunks(model, x, cache_dtype, {500, 1}, *table, pool);
          REQUIRE(bit_difference(actual, expected) == "");
        }
      }
    }
  }
}

TEST_CASE("sequences in one batch don't see each other") {
  const auto a = Random(5).reals(270 * kHidden), b = Random(6).reals(40 * kHidden),
             c = Random(7).reals(3 * kHidden);
  const Model model({8, 2, 32, 100});
  ThreadPool pool(3);
  for (const KernelTable* table : kernel_tables()) {
    INFO(name_of(table->isa));
    KvCache cache_a = model.cache(300, DType::bf16), cache_b = model.cache(64, DType::q8_0),
            cache_c = model.cache(3, DType::q8_0);
    const auto alone = [&](const std::vector<float>& x, DType cache_dtype) {
      return run_in_chunks(model, x, cache_dtype, {x.size() / kHidden}, *table, pool);
    };
    run(model, {{&cache_a, &a, 0, 260}, {&cache_b, &b, 0, 39}}, *table, pool);
    // One decodes, one has a prompt, one goes on with its prompt.
    const auto together = run(
        model, {{&cache_b, &b, 39, 1}, {&cache_c, &c, 0, 3}, {&cache_a, &a, 260, 10}}, *table, pool);
    const auto alone_a = alone(a, DType::bf16), alone_b = alone(b, DType::q8_0),
               alone_c = alone(c, DType::q8_0);
    std::vector<float> expected(alone_b.end() - kHidden, alone_b.end());
    expected.insert(expected.end(), alone_c.begin(), alone_c.end());
    expected.insert(expected.end(), alone_a.end() - 10 * kHidden, alone_a.end());
    REQUIRE(bit_difference(together, expected) == "");
  }
}

TEST_CASE("a cache that was rewound or cloned goes on with the same bits") {
  SerialExecutor serial;
  const KernelTable& table = kernel_table(detect_isa());
  const auto x = Random(8).reals(20 * kHidden), other = Random(9).reals(20 * kHidden);
  const Model model({4, 2, 32, {}});
  for (const DType cache_dtype : kCacheDTypes) {
    const auto expected = run_in_chunks(model, x, cache_dtype, {20}, table, serial);
    KvCache cache = model.cache(20, cache_dtype);
    run(model, {{&cache, &x, 0, 12}}, table, serial);
    cache.advance(12);
    KvCache clone = cache.clone();
    // The original takes another turn, and then back.
    run(model, {{&cache, &other, 12, 8}}, table, serial);
    cache.advance(8);
    cache.truncate(12);
    for (KvCache* each : {&clone, &cache}) {
      REQUIRE(each->size() == 12);
      const auto rest = run(model, {{each, &x, 12, 8}}, table, serial);
      REQUIRE(bit_difference(rest, std::span(expected).subspan(12 * kHidden)) == "");
    }
  }
}

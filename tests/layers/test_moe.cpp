// The mixture of experts against a loop over tokens and experts in double precision.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "layers/naive.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/layers/moe.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/kernel_tables.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

struct Shape {
  std::size_t hidden, ffn, n_experts, top_k;
};

std::string name_of(const Shape& s) {
  return "top " + std::to_string(s.top_k) + " of " + std::to_string(s.n_experts) + ", hidden " +
         std::to_string(s.hidden) + ", ffn " + std::to_string(s.ffn);
}

/// Random weights of one mixture.
struct Model {
  Model(const Shape& s, DType dtype) : shape(s) {
    Random random(s.hidden + s.top_k);
    router = random_weight(random, s.n_experts, s.hidden, dtype);
    for (std::size_t e = 0; e < s.n_experts; ++e) {
      gate.push_back(random_weight(random, s.ffn, s.hidden, dtype));
      up.push_back(random_weight(random, s.ffn, s.hidden, dtype));
      down.push_back(random_weight(random, s.hidden, s.ffn, dtype));
    }
  }

  Moe layer() const {
    std::vector<Expert> experts;
    for (std::size_t e = 0; e < shape.n_experts; ++e) {
      experts.push_back({gate[e].view(), up[e].view(), down[e].view()});
    }
    return Moe(Router(router.view()), std::move(experts), shape.top_k);
  }

  Shape shape;
  Weight router;
  std::vector<Weight> gate, up, down;
};

/// The experts of a token, best first.
std::vector<std::size_t> chosen(const Model& model, const Doubles& x) {
  const Doubles logits = times(model.router, x);
  std::vector<std::size_t> order;
  for (std::size_t e = 0; e < logits.size(); ++e) order.push_back(e);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  order.resize(model.shape.top_k);
  return order;
}

/// x + sum over the chosen experts of softmax(logits of the chosen) * Expert(x).
std::vector<float> by_definition(const Model& model, const Doubles& x) {
  const Doubles logits = times(model.router, x);
  const std::vector<std::size_t> experts = chosen(model, x);
  double denominator = 0;
  for (const std::size_t e : experts) denominator += std::exp(logits[e]);
  Doubles out = x;
  for (const std::size_t e : experts) {
    Doubles inner = times(model.gate[e], x);
    const Doubles up = times(model.up[e], x);
    for (std::size_t i = 0; i < inner.size(); ++i) inner[i] *= up[i] / (1 + std::exp(-inner[i]));
    const Doubles result = times(model.down[e], inner);
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] += std::exp(logits[e]) / denominator * result[i];
    }
  }
  return to_floats(out);
}

/// Every row of x [n_tokens, hidden] by the definition.
std::vector<float> by_definition(const Model& model, const std::vector<float>& x) {
  std::vector<float> out;
  for (std::size_t t = 0; t < x.size() / model.shape.hidden; ++t) {
    const auto row = by_definition(model, to_doubles(row_of(x, model.shape.hidden, t)));
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

/// The layer's output for x [n_tokens, hidden].
std::vector<float> run(const Model& model, const std::vector<float>& x, const Compute& compute) {
  const Shape& s = model.shape;
  const std::size_t n_tokens = x.size() / s.hidden;
  const Moe moe = model.layer();
  MoeScratch scratch(n_tokens, s.hidden, s.ffn, s.n_experts, s.top_k, compute.executor.n_threads());
  ActivationBuffer buffer(n_tokens, s.hidden);
  const ActivationView input = buffer.view(moe.input_form(compute), n_tokens, s.hidden);
  std::vector<float> residual = x;
  for (std::size_t t = 0; t < n_tokens; ++t) {
    input.set_row(t, x.data() + t * s.hidden, compute.kernels);
    moe.route(t, x.data() + t * s.hidden, compute, scratch);
  }
  moe.forward(input, compute, scratch, {residual.data(), n_tokens, s.hidden});
  return residual;
}

const std::vector<Shape> kShapes = {
    {16, 24, 4, 1}, {20, 37, 8, 2}, {48, 300, 5, 4}, {33, 17, 3, 3}};

}  // namespace

TEST_CASE("the mixture equals a loop over tokens and experts") {
  SerialExecutor serial;
  for (const Shape& shape : kShapes) {
    for (const DType dtype : kDTypes) {
      const Model model(shape, dtype);
      for (const std::size_t n_tokens : {1, 2, 7, 40}) {
        const auto x = Random(n_tokens).reals(n_tokens * shape.hidden, 2);
        const auto expected = by_definition(model, x);
        for (const KernelTable* table : kernel_tables()) {
          INFO(name_of(table->isa) << ", " << name_of(dtype) << ", " << name_of(shape) << ", "
                                   << n_tokens << " tokens");
          REQUIRE(relative_error(run(model, x, {*table, serial}), expected) < 1e-5);
          const Compute rounding{.kernels = *table, .executor = serial, .round_activations = true};
          REQUIRE(relative_error(run(model, x, rounding), expected) < 1e-2);
        }
      }
    }
  }
}

TEST_CASE("a batch that uses every expert, and one that uses a single one") {
  SerialExecutor serial;
  const Shape shape{32, 40, 8, 2};
  Model model(shape, DType::f32);
  const auto x = Random(1).reals(64 * shape.hidden);
  std::set<std::size_t> used;
  for (std::size_t t = 0; t < 64; ++t) {
    for (const std::size_t e : chosen(model, to_doubles(row_of(x, shape.hidden, t)))) used.insert(e);
  }
  REQUIRE(used.size() == shape.n_experts);
  for (const KernelTable* table : kernel_tables()) {
    REQUIRE(relative_error(run(model, x, {*table, serial}), by_definition(model, x)) < 1e-5);
  }

  const std::vector<float> zeros(shape.n_experts * shape.hidden);
  model.router = Weight(zeros, shape.n_experts, shape.hidden, DType::f32);
  for (const KernelTable* table : kernel_tables()) {
    REQUIRE(relative_error(run(model, x, {*table, serial}), by_definition(model, x)) < 1e-5);
  }
}

TEST_CASE("no thread count, batch or order of tokens changes a bit of the mixture") {
  SerialExecutor serial;
  for (const Shape& shape : kShapes) {
    const Model model(shape, DType::bf16);
    const std::size_t n_tokens = 29;
    const auto x = Random(3).reals(n_tokens * shape.hidden);
    for (const KernelTable* table : kernel_tables()) {
      for (const bool round : {false, true}) {
        INFO(name_of(table->isa) << ", " << name_of(shape) << ", rounded " << round);
        const auto on = [&](Executor& executor) {
          return Compute{.kernels = *table, .executor = executor, .round_activations = round};
        };
        const auto together = run(model, x, on(serial));
        for (std::size_t n_threads = 1; n_threads <= 5; ++n_threads) {
          ThreadPool pool(n_threads);
          REQUIRE(bit_difference(run(model, x, on(pool)), together) == "");
        }
        for (std::size_t t = 0; t < n_tokens; ++t) {
          const auto row = row_of(x, shape.hidden, t);
          const auto alone = run(model, {row.begin(), row.end()}, on(serial));
          REQUIRE(bit_difference(alone, row_of(together, shape.hidden, t)) == "");
        }
      }
    }
  }
}

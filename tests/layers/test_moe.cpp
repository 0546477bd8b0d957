// The mixture of experts against a loop over tokens in double precision.
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "mixtral/core/thread_pool.hpp"
#include "mixtral/layers/moe.hpp"
#include "support/catch.hpp"

using namespace mixtral;

namespace {

struct Shape {
  std::size_t hidden, ffn, n_experts, top_k;
};

std::vector<float> random_floats(std::size_t n, unsigned seed, float scale) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(n);
  for (float& value : values) value = uniform(generator);
  return values;
}

WeightView view(const std::vector<float>& values, std::size_t rows, std::size_t cols) {
  return {reinterpret_cast<const std::byte*>(values.data()), DType::f32, rows, cols};
}

/// Random f32 weights of one mixture.
struct Weights {
  explicit Weights(const Shape& s)
      : shape(s), router(random_floats(s.n_experts * s.hidden, 1, 0.5f)) {
    for (unsigned e = 0; e < s.n_experts; ++e) {
      gate.push_back(random_floats(s.ffn * s.hidden, 10 + e, 0.3f));
      up.push_back(random_floats(s.ffn * s.hidden, 30 + e, 0.3f));
      down.push_back(random_floats(s.hidden * s.ffn, 50 + e, 0.3f));
    }
  }

  Moe layer() const {
    std::vector<Expert> experts;
    for (std::size_t e = 0; e < shape.n_experts; ++e) {
      experts.push_back({view(gate[e], shape.ffn, shape.hidden), view(up[e], shape.ffn, shape.hidden),
                         view(down[e], shape.hidden, shape.ffn)});
    }
    return Moe(Router(view(router, shape.n_experts, shape.hidden)), std::move(experts), shape.top_k);
  }

  Shape shape;
  std::vector<float> router;
  std::vector<std::vector<float>> gate, up, down;
};

double dot(const float* row, const std::vector<double>& x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += row[i] * x[i];
  return sum;
}

/// x + the weighted experts, by the definition.
std::vector<double> naive(const Weights& w, const std::vector<double>& x) {
  const auto& [hidden, ffn, n_experts, top_k] = w.shape;
  std::vector<double> logits(n_experts), out(x);
  for (std::size_t e = 0; e < n_experts; ++e) logits[e] = dot(w.router.data() + e * hidden, x);
  std::vector<std::size_t> chosen;
  while (chosen.size() < top_k) {
    std::size_t best = n_experts;
    for (std::size_t e = 0; e < n_experts; ++e) {
      if (std::find(chosen.begin(), chosen.end(), e) != chosen.end()) continue;
      if (best == n_experts || logits[e] > logits[best]) best = e;
    }
    chosen.push_back(best);
  }
  double denominator = 0;
  for (const std::size_t e : chosen) denominator += std::exp(logits[e]);
  for (const std::size_t e : chosen) {
    std::vector<double> inner(ffn);
    for (std::size_t i = 0; i < ffn; ++i) {
      const double g = dot(w.gate[e].data() + i * hidden, x);
      inner[i] = g / (1 + std::exp(-g)) * dot(w.up[e].data() + i * hidden, x);
    }
    for (std::size_t i = 0; i < hidden; ++i) {
      out[i] += std::exp(logits[e]) / denominator * dot(w.down[e].data() + i * ffn, inner);
    }
  }
  return out;
}

/// The layer's output for x [n_tokens, hidden].
std::vector<float> run(const Weights& w, const std::vector<float>& x, Executor& executor, Isa isa) {
  const Shape& s = w.shape;
  const std::size_t n_tokens = x.size() / s.hidden;
  const Compute compute{kernel_table(isa), executor, nullptr, false};
  const Moe moe = w.layer();
  MoeScratch scratch(n_tokens, s.hidden, s.ffn, s.n_experts, s.top_k, executor.n_threads());
  std::vector<float> input(x), residual(x);
  for (std::size_t t = 0; t < n_tokens; ++t) {
    moe.route(t, input.data() + t * s.hidden, compute, scratch);
  }
  moe.forward({reinterpret_cast<std::byte*>(input.data()), DType::f32, n_tokens, s.hidden}, compute,
              scratch, {residual.data(), n_tokens, s.hidden});
  return residual;
}

const std::vector<Shape> kShapes = {{16, 24, 4, 1}, {20, 37, 8, 2}, {48, 300, 5, 4}, {33, 17, 3, 3}};

}  // namespace

TEST_CASE("the mixture equals a loop over tokens and experts") {
  SerialExecutor serial;
  for (const Shape& shape : kShapes) {
    const Weights weights(shape);
    for (const std::size_t n_tokens : {1, 2, 7, 40}) {
      const std::vector<float> x =
          random_floats(n_tokens * shape.hidden, static_cast<unsigned>(n_tokens), 1.0f);
      for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
        if (isa > detect_isa()) continue;
        const std::vector<float> found = run(weights, x, serial, isa);
        for (std::size_t t = 0; t < n_tokens; ++t) {
          const std::vector<double> expected =
              naive(weights, {x.begin() + static_cast<std::ptrdiff_t>(t * shape.hidden),
                              x.begin() + static_cast<std::ptrdiff_t>((t + 1) * shape.hidden)});
          for (std::size_t i = 0; i < shape.hidden; ++i) {
            REQUIRE(found[t * shape.hidden + i] == Approx(expected[i]).epsilon(1e-4).margin(1e-4));
          }
        }
      }
    }
  }
}

TEST_CASE("no thread count changes a bit of the mixture") {
  SerialExecutor serial;
  const Weights weights(kShapes[2]);
  const std::vector<float> x = random_floats(29 * weights.shape.hidden, 3, 1.0f);
  const std::vector<float> expected = run(weights, x, serial, detect_isa());
  for (const std::size_t n_threads : {2, 3, 5}) {
    ThreadPool pool(n_threads);
    const std::vector<float> found = run(weights, x, pool, detect_isa());
    REQUIRE(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)) == 0);
  }
}

TEST_CASE("tied router logits go to the lower expert") {
  Weights weights(kShapes[1]);
  std::fill(weights.router.begin(), weights.router.end(), 0.0f);
  const Moe moe = weights.layer();
  SerialExecutor serial;
  const Compute compute{kernel_table(detect_isa()), serial, nullptr, false};
  const Shape& s = weights.shape;
  MoeScratch scratch(1, s.hidden, s.ffn, s.n_experts, s.top_k, 1);
  const std::vector<float> x = random_floats(s.hidden, 5, 1.0f);
  moe.route(0, x.data(), compute, scratch);
  REQUIRE(scratch.experts == std::vector<std::uint32_t>{0, 1});
  REQUIRE(scratch.weights == std::vector<float>{0.5f, 0.5f});
}

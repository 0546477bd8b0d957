// The network against Hugging Face transformers in float32, layer by layer.
#include <algorithm>
#include <cmath>
#include <vector>

#include "model/golden.hpp"
#include "support/catch.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

constexpr double kF32Tolerance = 1e-5;
constexpr double kAutoTolerance = 1e-2;

std::vector<Isa> isas_here() {
  std::vector<Isa> found;
  for (const Isa isa : kAllIsas) {
    if (is_supported(isa)) found.push_back(isa);
  }
  return found;
}

std::vector<GemmKind> gemms_here() {
  std::vector<GemmKind> found;
  for (GemmKind kind : {GemmKind::native, GemmKind::onednn, GemmKind::openblas, GemmKind::eigen}) {
    if (is_available(kind)) found.push_back(kind);
  }
  return found;
}

/// Keeps what a forward pass shows.
struct Recorder : ForwardObserver {
  void on_hidden(std::size_t, MatrixView<const float> view) override {
    hidden.insert(hidden.end(), view.data, view.data + view.rows * view.cols);
  }
  void on_router(std::size_t, MatrixView<const std::uint32_t> experts,
                 MatrixView<const float> gates) override {
    choices.insert(choices.end(), experts.data, experts.data + experts.rows * experts.cols);
    weights.insert(weights.end(), gates.data, gates.data + gates.rows * gates.cols);
  }
  std::vector<float> hidden;               // [n_layers + 1, n_tokens, hidden]
  std::vector<std::int32_t> choices;       // [n_layers, n_tokens, top_k]
  std::vector<float> weights;              // [n_layers, n_tokens, top_k]
};

/// The rows of `all` [n_tokens, vocab] that the golden keeps.
std::vector<float> golden_rows(const std::vector<float>& all, const Golden& golden,
                               std::size_t vocab) {
  std::vector<float> rows;
  for (const std::int32_t row : golden.ints("logit_rows")) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(row * vocab);
    rows.insert(rows.end(), begin, begin + static_cast<std::ptrdiff_t>(vocab));
  }
  return rows;
}

/// Greedy ids agree with transformers up to the first step whose margin is within the tolerance.
void require_greedy(Runner& runner, const Golden& golden, double tolerance) {
  const std::vector<TokenId> prompt = golden.ints("prompt_ids");
  const std::vector<TokenId> expected = golden.ints("greedy_ids");
  const std::vector<float> margins = golden.floats("greedy_margins");
  const std::vector<float> largest = golden.floats("greedy_max_abs_logits");
  TokenId next = argmax(runner.forward(prompt, LogitsFor::last).row(0));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    // Either logit of a pair may be off by the tolerance.
    if (margins[i] <= 2 * tolerance * largest[i] && next != expected[i]) return;
    INFO("greedy step " << i);
    REQUIRE(next == expected[i]);
    if (i + 1 < expected.size()) next = argmax(runner.forward({&next, 1}, LogitsFor::last).row(0));
  }
}

}  // namespace

TEST_CASE("there are goldens to compare with") { REQUIRE(golden_models().size() >= 7); }

TEST_CASE("f32: hidden states, router choices and logits equal transformers'") {
  for (const auto& path : golden_models()) {
    const Golden golden(path);
    const std::vector<TokenId> prompt = golden.ints("prompt_ids");
    for (const Isa isa : isas_here()) {
      for (const GemmKind gemm : gemms_here()) {
        INFO(path.filename() << " " << name_of(isa) << " " << name_of(gemm));
        Runner runner(path, {.isa = isa, .gemm = gemm, .precision = Precision::f32}, DType::f32);
        Recorder seen;
        const MatrixView<const float> view = runner.forward(prompt, LogitsFor::all, &seen);
        const std::vector<float> logits(view.data, view.data + view.rows * view.cols);
        CHECK(relative_error(seen.hidden, golden.floats("hidden_states")) <= kF32Tolerance);
        CHECK(seen.choices == golden.ints("router_choices"));
        CHECK(relative_error(seen.weights, golden.floats("router_weights")) <= kF32Tolerance);
        CHECK(relative_error(golden_rows(logits, golden, view.cols), golden.floats("logits")) <=
              kF32Tolerance);
      }
    }
  }
}

TEST_CASE("auto: logits are within 1e-2 of transformers in f32") {
  for (const auto& path : golden_models()) {
    const Golden golden(path);
    for (const Isa isa : isas_here()) {
      for (const GemmKind gemm : gemms_here()) {
        for (const DType cache : {DType::f32, DType::f16, DType::bf16}) {
          INFO(path.filename() << " " << name_of(isa) << " " << name_of(gemm) << " "
                               << name_of(cache));
          Runner runner(path, {.isa = isa, .gemm = gemm}, cache);
          const std::vector<float> logits = runner.logits(golden.ints("prompt_ids"));
          CHECK(relative_error(golden_rows(logits, golden, runner.network->config().vocab),
                               golden.floats("logits")) <= kAutoTolerance);
        }
      }
    }
  }
}

TEST_CASE("f32: 64 greedy tokens equal transformers'") {
  for (const auto& path : golden_models()) {
    for (const Isa isa : isas_here()) {
      INFO(path.filename() << " " << name_of(isa));
      Runner runner(path, {.isa = isa, .precision = Precision::f32}, DType::f32);
      require_greedy(runner, Golden(path), kF32Tolerance);
    }
  }
}

TEST_CASE("auto: greedy tokens equal transformers' wherever the margin allows") {
  for (const auto& path : golden_models()) {
    for (const Isa isa : isas_here()) {
      INFO(path.filename() << " " << name_of(isa));
      Runner runner(path, {.isa = isa}, DType::f16);
      require_greedy(runner, Golden(path), kAutoTolerance);
    }
  }
}

TEST_CASE("relative_error notices what it must") {
  const std::vector<float> b = {1.0f, -2.0f, 4.0f};
  REQUIRE(relative_error(b, b) == 0.0);
  REQUIRE(relative_error(std::vector<float>{1.0f, 2.0f, 4.0f}, b) == 1.0);
  REQUIRE(std::isinf(relative_error(std::vector<float>{1.0f, NAN, 4.0f}, b)));
  REQUIRE(std::isinf(relative_error(std::vector<float>{1.0f, -2.0f}, b)));
}

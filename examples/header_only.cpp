// A mixture-of-experts layer from the templates alone: nothing to link, no model file.
#include <algorithm>
#include <cstdio>
#include <random>
#include <vector>

#include <mixtral/core/executor.hpp>
#include <mixtral/kernels/make_table.hpp>
#include <mixtral/layers/moe.hpp>

namespace {

constexpr std::size_t kTokens = 4, kHidden = 64, kFfn = 128, kExperts = 8, kTopK = 2;

std::vector<float> random_values(std::size_t count, float scale) {
  static std::mt19937 engine(1);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(count);
  std::generate(values.begin(), values.end(), [&] { return normal(engine); });
  return values;
}

/// A view of `values` as the weights [rows, cols] of a linear map.
mixtral::WeightView weight(const std::vector<float>& values, std::size_t rows, std::size_t cols) {
  return {reinterpret_cast<const std::byte*>(values.data()), mixtral::DType::f32, rows, cols};
}

}  // namespace

int main() {
  // The kernels of whatever instruction set this file is compiled for, in the calling thread.
  constexpr mixtral::KernelTable kernels = mixtral::kernels::make_table<mixtral::simd::Native>();
  mixtral::SerialExecutor executor;
  const mixtral::Compute compute{kernels, executor};

  const auto gate = random_values(kExperts * kHidden, 0.1f);
  const auto inner = random_values(kExperts * 2 * kFfn * kHidden, 0.1f);  // w1 and w3 of each
  const auto outer = random_values(kExperts * kHidden * kFfn, 0.1f);      // w2 of each
  const mixtral::WeightView w13 = weight(inner, kExperts * 2 * kFfn, kHidden);
  const mixtral::WeightView w2 = weight(outer, kExperts * kHidden, kFfn);
  std::vector<mixtral::Expert> experts;
  for (std::size_t e = 0; e < kExperts; ++e) {
    experts.push_back({.gate = w13.row_block(2 * e * kFfn, kFfn),
                       .up = w13.row_block((2 * e + 1) * kFfn, kFfn),
                       .down = w2.row_block(e * kHidden, kHidden)});
  }
  const mixtral::Moe moe(mixtral::Router(weight(gate, kExperts, kHidden)), experts, kTopK);
  mixtral::MoeScratch scratch(kTokens, kHidden, kFfn, kExperts, kTopK, executor.n_threads());

  auto input = random_values(kTokens * kHidden, 1.0f);
  std::vector<float> residual(kTokens * kHidden);
  for (std::size_t t = 0; t < kTokens; ++t) moe.route(t, &input[t * kHidden], compute, scratch);
  moe.forward(mixtral::ActivationView::of({input.data(), kTokens, kHidden}), compute, scratch,
              {residual.data(), kTokens, kHidden});

  for (std::size_t t = 0; t < kTokens; ++t) {
    std::printf("token %zu: experts %u and %u with weights %.3f and %.3f, output %+.4f %+.4f ...\n", t,
                scratch.experts[2 * t], scratch.experts[2 * t + 1], scratch.weights[2 * t],
                scratch.weights[2 * t + 1], residual[t * kHidden], residual[t * kHidden + 1]);
  }
}

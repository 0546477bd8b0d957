// How far weights move when they are quantised.
#include <cmath>
#include <cstdint>
#include <numbers>

#include "quant/quantised.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

/// Normally distributed.
std::vector<float> normal_weights(std::size_t n, float scale) {
  Random random(20261124);
  std::vector<float> weights;
  while (weights.size() < n) {
    const double radius = std::sqrt(-2 * std::log(1 - (random.real() + 1) / 2.0));
    const double angle = std::numbers::pi * random.real();
    weights.push_back(static_cast<float>(radius * std::cos(angle)) * scale);
    weights.push_back(static_cast<float>(radius * std::sin(angle)) * scale);
  }
  return weights;
}

/// Root mean square of the error over that of the weights.
double error_of(DType dtype, std::span<const float> weights) {
  const auto after = through(dtype, weights);
  double error = 0, size = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double difference = double{after[i]} - double{weights[i]};
    error += difference * difference;
    size += double{weights[i]} * double{weights[i]};
  }
  return std::sqrt(error / size);
}

struct Quality {
  DType dtype;
  double bound;
};

/// From coarse to fine. In comments: the error of llama.cpp's own quantisers (ggml_quantize_chunk
/// of llama-cpp-python 0.3.36, no importance matrix) on weights of the same distribution.
constexpr Quality kQualities[] = {
    {DType::q2_k, 0.263},     // 0.2967
    {DType::q3_k, 0.1450},    // 0.1510
    {DType::q4_0, 0.0870},    // 0.0860
    {DType::q4_1, 0.0790},    // 0.0783
    {DType::iq4_xs, 0.0746},  // 0.0768
    {DType::iq4_nl, 0.0740},  // 0.0762
    {DType::q4_k, 0.0707},    // 0.0714
    {DType::q5_0, 0.0432},    // 0.0427
    {DType::q5_1, 0.0383},    // 0.0378
    {DType::q5_k, 0.0353},    // 0.0361
    {DType::q6_k, 0.0167},    // 0.0178
    {DType::q8_0, 0.0055},    // 0.0054
    {DType::bf16, 0.0018},   {DType::f16, 0.00022}, {DType::f32, 0},
};

}  // namespace

TEST_CASE("normally distributed weights keep within the error of each type, in the types' order") {
  const auto weights = normal_weights(1 << 16, 0.02f);
  double coarser = 1;
  for (const Quality& quality : kQualities) {
    const double error = error_of(quality.dtype, weights);
    INFO(name_of(quality.dtype) << ": " << error);
    CHECK(error <= quality.bound);
    CHECK(error < coarser);
    coarser = error;
  }
}

TEST_CASE("the fitted types keep their precision where the block's scale is a subnormal f16") {
  const auto weights = normal_weights(1 << 13, 1);
  for (const DType dtype : {DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k,
                            DType::iq4_nl, DType::iq4_xs}) {
    const double error = error_of(dtype, weights);
    for (int power = -10; power <= 10; power += 2) {
      auto scaled = weights;
      for (float& weight : scaled) weight = std::ldexp(weight, power);
      INFO(name_of(dtype) << " at 2^" << power);
      CHECK(error_of(dtype, scaled) < 1.1 * error);
    }
  }
}

TEST_CASE(
    "a block of equal weights is nearly exact, and a lone weight keeps its neighbours at zero") {
  for (const DType dtype : kQuantisedTypes) {
    // The IQ4 types have no zero: the nearest level is a 127th of the largest.
    const bool has_zero = dtype != DType::iq4_nl && dtype != DType::iq4_xs;
    for (const float weight : {0.7f, -0.7f}) {
      INFO(name_of(dtype) << " of " << weight);
      CHECK(error_of(dtype, std::vector<float>(256, weight)) < 0.005);
      std::vector<float> lone(256);
      lone[77] = weight;
      CHECK(error_of(dtype, lone) < (has_zero ? 0.005 : 0.045));
    }
  }
}

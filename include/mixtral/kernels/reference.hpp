// Every kernel as its formula says, in double precision: the slow oracle that the fast ones are
// tested against. Plain loops, one rounding at the end.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <type_traits>
#include <vector>

#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/table.hpp"
#include "mixtral/quant/q8_0.hpp"

namespace mixtral::reference {

/// Element `index` of an array of T at any alignment.
template <class T>
double element(const std::byte* array, std::size_t index) noexcept {
  T value;
  std::memcpy(&value, array + index * sizeof(T), sizeof(T));
  return static_cast<double>(to_float(value));
}

template <class W, class X>
void gemm(const GemmArgs& args) noexcept {
  for (std::size_t t = 0; t < args.n_tokens; ++t) {
    const std::size_t source = args.activation_rows ? args.activation_rows[t] : t;
    const std::byte* activations = args.activations + source * args.activation_stride;
    for (std::size_t r = 0; r < args.n_rows; ++r) {
      const std::byte* weights = args.weights + r * args.weight_stride;
      double sum = 0;
      for (std::size_t k = 0; k < args.depth; ++k) {
        sum += element<W>(weights, k) * element<X>(activations, k);
      }
      args.out[t * args.out_stride + r] = static_cast<float>(sum);
    }
  }
}

inline void rms_norm(const float* x, const float* gain, float eps, std::size_t n,
                     float* out) noexcept {
  double squares = 0;
  for (std::size_t i = 0; i < n; ++i) squares += double{x[i]} * double{x[i]};
  const double rms = std::sqrt(squares / static_cast<double>(n) + double{eps});
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(double{gain[i]} * x[i] / rms);
}

inline void rope(float* x, const float* cos, const float* sin, std::size_t half) noexcept {
  for (std::size_t i = 0; i < half; ++i) {
    const double first = x[i], second = x[i + half];
    x[i] = static_cast<float>(first * cos[i] - second * sin[i]);
    x[i + half] = static_cast<float>(second * cos[i] + first * sin[i]);
  }
}

inline void swiglu(float* gate, const float* up, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const double silu = gate[i] / (1.0 + std::exp(-double{gate[i]}));
    gate[i] = static_cast<float>(silu * up[i]);
  }
}

inline void add_scaled(float scale, const float* x, std::size_t n, float* y) noexcept {
  for (std::size_t i = 0; i < n; ++i) y[i] = static_cast<float>(y[i] + double{scale} * x[i]);
}

inline void multiply(float scale, std::size_t n, float* x) noexcept {
  for (std::size_t i = 0; i < n; ++i) x[i] *= scale;
}

/// Element d of the key and the value of position p.
template <class T>
double key_element(const AttendArgs& args, std::size_t p, std::size_t d) noexcept {
  const std::size_t row = p % kAttentionUnit;
  return element<T>(args.keys + p / kAttentionUnit * args.unit_stride,
                    (row / kTileRows * args.head_dim + d) * kTileRows + row % kTileRows);
}
template <class T>
double value_element(const AttendArgs& args, std::size_t p, std::size_t d) noexcept {
  return element<T>(args.values + p / kAttentionUnit * args.unit_stride,
                    p % kAttentionUnit * args.head_dim + d);
}

/// In q8_0: of a tile 32 elements' quants of 32 keys, then their scales.
template <>
inline double key_element<quant::Q8_0>(const AttendArgs& args, std::size_t p, std::size_t d) noexcept {
  const std::size_t row = p % kAttentionUnit;
  const std::byte* tile = args.keys + p / kAttentionUnit * args.unit_stride + row / 32 * args.head_dim * 34;
  const std::byte* block = tile + d / 32 * (32 * 34);
  const auto quant = static_cast<std::int8_t>(block[d % 32 * 32 + row % 32]);
  return quant * element<F16>(block + 32 * 32, row % 32);
}
template <>
inline double value_element<quant::Q8_0>(const AttendArgs& args, std::size_t p, std::size_t d) noexcept {
  const std::byte* row = args.values + p / kAttentionUnit * args.unit_stride +
                         p % kAttentionUnit * (args.head_dim / 32 * 34);
  const std::byte* block = row + d / 32 * 34;
  return static_cast<std::int8_t>(block[2 + d % 32]) * element<F16>(block, 0);
}

/// All scores first, then their softmax without its denominator, then the weighted values. Rows that
/// see nothing keep a sum of 0. All units join in one state, whatever args.state_stride.
template <class T>
void attend(const AttendArgs& args) noexcept {
  for (std::size_t row = 0; row < args.n_tokens * args.group; ++row) {
    const std::size_t token = row / args.group;
    const std::size_t offset = token * args.token_stride + row % args.group * args.head_dim;
    const std::size_t last = args.position + token;
    std::vector<std::size_t> seen;
    for (std::size_t p = args.begin; p < args.end; ++p) {
      if (p <= last && last - p < args.window) seen.push_back(p);
    }
    std::vector<double> weights;
    for (const std::size_t p : seen) {
      double score = 0;
      for (std::size_t d = 0; d < args.head_dim; ++d) {
        score += double{args.query[offset + d]} * key_element<T>(args, p, d);
      }
      weights.push_back(score);
    }
    double max = -std::numeric_limits<double>::infinity();
    for (const double score : weights) max = std::max(max, score);
    for (double& weight : weights) weight = std::exp(weight - max);
    args.state.max[row] = static_cast<float>(max);
    args.state.sum[row] = static_cast<float>(std::accumulate(weights.begin(), weights.end(), 0.0));
    if (seen.empty()) continue;
    for (std::size_t d = 0; d < args.head_dim; ++d) {
      double value = 0;
      for (std::size_t i = 0; i < seen.size(); ++i) {
        value += weights[i] * value_element<T>(args, seen[i], d);
      }
      args.state.values[offset + d] = static_cast<float>(value);
    }
  }
}

inline void merge(const AttentionState& later, std::size_t group, std::size_t head_dim,
                  const AttentionState& into) noexcept {
  for (std::size_t g = 0; g < group; ++g) {
    const double max = std::max(later.max[g], into.max[g]);
    const double keep = std::exp(into.max[g] - max), add = std::exp(later.max[g] - max);
    for (std::size_t i = g * head_dim; i < (g + 1) * head_dim; ++i) {
      into.values[i] = static_cast<float>(keep * into.values[i] + add * later.values[i]);
    }
    into.sum[g] = static_cast<float>(keep * into.sum[g] + add * later.sum[g]);
    into.max[g] = static_cast<float>(max);
  }
}

template <class T>
void narrow(const float* from, std::size_t n, std::byte* to) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    T value;
    if constexpr (std::is_same_v<T, BF16>) {
      value = to_bf16(from[i]);
    } else if constexpr (std::is_same_v<T, F16>) {
      value = to_f16(from[i]);
    } else {
      value = from[i];
    }
    std::memcpy(to + i * sizeof(T), &value, sizeof(T));
  }
}

/// Blocks of q8_0: an f16 d, the largest magnitude / 127, and 32 times round(x / d).
inline void quantise_row(const float* from, std::size_t n, std::byte* to) noexcept {
  for (std::size_t i = 0; i < n; i += 32, to += 34) {
    float largest = 0;
    for (std::size_t k = i; k < i + 32; ++k) {
      largest = std::isfinite(from[k]) ? std::max(largest, std::abs(from[k])) : INFINITY;
    }
    F16 d = to_f16(largest / 127);
    const double scale = double{to_float(d)};
    if (!std::isfinite(scale)) d = to_f16(NAN);
    std::memcpy(to, &d, sizeof d);
    for (std::size_t k = 0; k < 32; ++k) {
      const bool zero = scale == 0 || !std::isfinite(scale);
      const double steps = zero ? 0 : std::clamp(std::nearbyint(from[i + k] / scale), -127.0, 127.0);
      to[2 + k] = static_cast<std::byte>(static_cast<std::int8_t>(steps));
    }
  }
}

template <class T>
void widen(const std::byte* from, std::size_t n, float* to) noexcept {
  for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<float>(element<T>(from, i));
}

/// Hugging Face's order of operations: softmax over all experts, the top k, renormalise.
inline void top_k(std::span<const float> logits, std::span<std::uint32_t> experts,
                  std::span<float> weights) {
  std::vector<std::uint32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return logits[a] > logits[b]; });
  std::vector<double> probabilities(logits.begin(), logits.end());
  for (double& p : probabilities) p = std::exp(p - logits[order.front()]);
  const double all = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
  double chosen = 0;
  for (std::size_t k = 0; k < experts.size(); ++k) chosen += probabilities[order[k]] / all;
  for (std::size_t k = 0; k < experts.size(); ++k) {
    experts[k] = order[k];
    weights[k] = static_cast<float>(probabilities[order[k]] / all / chosen);
  }
}

/// The oracle in the form in which layers take their kernels.
inline constexpr KernelTable kTable = {
    .isa = Isa::baseline,
    .gemm_f32 = {&gemm<float, float>, &gemm<F16, float>, &gemm<BF16, float>},
    .gemm_bf16 = &gemm<BF16, BF16>,
    .rms_norm = &rms_norm,
    .rope = &rope,
    .swiglu = &swiglu,
    .add_scaled = &add_scaled,
    .multiply = &multiply,
    .attend = {&attend<float>, &attend<F16>, &attend<BF16>, &attend<quant::Q8_0>},
    .merge = &merge,
    .narrow = {&narrow<float>, &narrow<F16>, &narrow<BF16>, &quantise_row},
    .widen = {&widen<float>, &widen<F16>, &widen<BF16>},
};

}  // namespace mixtral::reference

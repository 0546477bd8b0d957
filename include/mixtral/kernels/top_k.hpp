// Top-k gating: the experts of one token and their weights.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mixtral::kernels {

namespace detail {

/// Whether logit a is chosen before b. NaN comes first, so that it shows in the weights.
inline bool ranks_before(float a, float b) noexcept {
  return a > b || (std::isnan(a) && !std::isnan(b));
}

}  // namespace detail

/// Chooses the experts with the largest logits, best first, ties to the lower index, and weighs them
/// by the softmax over the chosen logits: the same as softmax over all, top-k, renormalise
/// (Hugging Face) with the common denominator cancelled. experts and weights: [top_k].
inline void top_k(std::span<const float> logits, std::span<std::uint32_t> experts,
                  std::span<float> weights) noexcept {
  for (std::size_t k = 0; k < experts.size(); ++k) {
    std::size_t best = logits.size();
    for (std::size_t e = 0; e < logits.size(); ++e) {
      bool taken = false;
      for (std::size_t j = 0; j < k; ++j) taken = taken || experts[j] == e;
      if (taken) continue;
      if (best == logits.size() || detail::ranks_before(logits[e], logits[best])) best = e;
    }
    experts[k] = static_cast<std::uint32_t>(best);
  }
  float sum = 0.0f;
  for (std::size_t k = 0; k < experts.size(); ++k) {
    weights[k] = std::exp(logits[experts[k]] - logits[experts[0]]);
    sum += weights[k];
  }
  for (float& weight : weights) weight /= sum;
}

}  // namespace mixtral::kernels

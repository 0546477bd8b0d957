// The gate of a mixture of experts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mixtral/kernels/top_k.hpp"
#include "mixtral/layers/compute.hpp"

namespace mixtral {

/// Sends a token to the top_k experts with the largest logits W x. Always computed from f32
/// activations: a rounded logit could pick another expert, which no later precision undoes.
class Router {
 public:
  explicit Router(WeightView weight) : weight_(weight) {}

  std::size_t n_experts() const noexcept { return weight_.rows; }

  /// x [hidden] -> experts [top_k], best first, and their weights [top_k], which sum to 1.
  /// logits [n_experts] is scratch that holds W x afterwards.
  void forward_row(const float* x, const KernelTable& kernels, std::span<float> logits,
                   std::span<std::uint32_t> experts, std::span<float> weights) const noexcept {
    kernels.gemm_f32[static_cast<std::size_t>(weight_.dtype)]({
        .weights = weight_.data,
        .weight_stride = weight_.row_bytes(),
        .activations = reinterpret_cast<const std::byte*>(x),
        .activation_stride = 0,
        .activation_rows = nullptr,
        .out = logits.data(),
        .out_stride = logits.size(),
        .n_rows = weight_.rows,
        .n_tokens = 1,
        .depth = weight_.cols,
    });
    kernels::top_k(logits, experts, weights);
  }

 private:
  WeightView weight_;  // [n_experts, hidden]
};

}  // namespace mixtral

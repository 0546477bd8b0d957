#include "weights.hpp"

namespace mixtral::cli {

void WeightTotals::add(const WeightView& weight) noexcept {
  const std::size_t n = weight.rows * weight.cols;
  parameters += n;
  bytes += weight.bytes();
  parameters_of[static_cast<std::size_t>(weight.dtype)] += n;
}

std::size_t WeightCensus::parameters() const noexcept {
  return embedding.parameters + dense.parameters + experts.parameters;
}

std::size_t WeightCensus::active_parameters() const noexcept {
  return embedding.parameters + dense.parameters + experts.parameters / n_experts * n_active;
}

WeightCensus count_weights(const Checkpoint& checkpoint) {
  using enum TensorRole;
  const Config& config = checkpoint.config();
  WeightCensus census;
  census.n_experts = config.n_layers * config.n_experts;
  census.n_active = config.n_layers * config.top_k;
  if (!config.tie_embeddings) census.embedding.add(checkpoint.tensor({embedding}));
  census.lm_head.add(checkpoint.tensor({lm_head}));
  census.dense.add(checkpoint.tensor({lm_head}));
  census.dense.add(checkpoint.tensor({final_norm}));
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    for (const TensorRole role : {attention_norm, query, key, value, output, ffn_norm, router}) {
      census.dense.add(checkpoint.tensor({role, layer}));
    }
    for (std::size_t expert = 0; expert < config.n_experts; ++expert) {
      for (const TensorRole role : {expert_gate, expert_down, expert_up}) {
        census.experts.add(checkpoint.tensor({role, layer, expert}));
      }
    }
  }
  return census;
}

}  // namespace mixtral::cli

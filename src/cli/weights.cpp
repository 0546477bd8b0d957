#include "weights.hpp"

namespace mixtral::cli {

void WeightTotals::add(const WeightView& weight) noexcept {
  const std::size_t n = weight.rows * weight.cols;
  parameters += n;
  bytes += weight.bytes();
  parameters_of[static_cast<std::size_t>(weight.dtype)] += n;
  bytes_of[static_cast<std::size_t>(weight.dtype)] += weight.bytes();
}

std::size_t WeightCensus::parameters() const noexcept {
  return (is_tied ? 0 : embedding.parameters) + dense.parameters + experts.parameters;
}

std::size_t WeightCensus::active_parameters() const noexcept {
  return parameters() - experts.parameters + experts.parameters / n_experts * n_active;
}

WeightCensus count_weights(const Checkpoint& checkpoint) {
  using enum TensorRole;
  const Config& config = checkpoint.config();
  const std::byte* const table = checkpoint.tensor({embedding}).data;
  WeightCensus census;
  census.is_tied = config.tie_embeddings;
  census.n_experts = config.n_layers * config.n_experts;
  census.n_active = config.n_layers * config.top_k;
  visit_tensors(config, [&](const TensorKey& key) {
    const WeightView weight = checkpoint.tensor(key);
    const bool is_expert = key.role == expert_gate || key.role == expert_up || key.role == expert_down;
    (key.role == embedding ? census.embedding : is_expert ? census.experts : census.dense).add(weight);
    if (key.role == lm_head) census.lm_head.add(weight);
    if (key.role == lm_head && census.is_tied && weight.data == table) return;
    census.stored.add(weight);
    census.file_bytes += checkpoint.stored(key).bytes;
  });
  return census;
}

}  // namespace mixtral::cli

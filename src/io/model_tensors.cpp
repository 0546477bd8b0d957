#include "io/model_tensors.hpp"

#include <string>

#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

constexpr std::size_t index_of(TensorRole role) { return static_cast<std::size_t>(role); }

constexpr std::size_t kPerLayer =
    index_of(TensorRole::expert_gate) - index_of(TensorRole::attention_norm);
constexpr std::size_t kPerExpert = 3;

constexpr std::string_view kRoleNames[] = {
    "embedding",       "final_norm",      "lm_head",          "attention_norm", "attention_query",
    "attention_key",   "attention_value", "attention_output", "ffn_norm",       "router",
    "expert_gate",     "expert_up",       "expert_down",
};

}  // namespace

std::string_view name_of(TensorRole role) noexcept { return kRoleNames[index_of(role)]; }

std::string name_of(const TensorKey& key) {
  std::string name(name_of(key.role));
  if (!detail::is_global(key.role)) name = "layers." + std::to_string(key.layer) + "." + name;
  if (detail::is_expert(key.role)) name += "." + std::to_string(key.expert);
  return name;
}

namespace detail {

MatrixShape shape_of(TensorRole role, const Config& c) noexcept {
  switch (role) {
    case TensorRole::embedding:
    case TensorRole::lm_head:
      return {c.vocab, c.hidden};
    case TensorRole::final_norm:
    case TensorRole::attention_norm:
    case TensorRole::ffn_norm:
      return {1, c.hidden};
    case TensorRole::query:
      return {c.q_dim(), c.hidden};
    case TensorRole::key:
    case TensorRole::value:
      return {c.kv_dim(), c.hidden};
    case TensorRole::output:
      return {c.hidden, c.q_dim()};
    case TensorRole::router:
      return {c.n_experts, c.hidden};
    case TensorRole::expert_gate:
    case TensorRole::expert_up:
      return {c.ffn, c.hidden};
    case TensorRole::expert_down:
      return {c.hidden, c.ffn};
  }
  return {};
}

void check_inside(const TensorKey& key, const Config& config) {
  if ((!is_global(key.role) && key.layer >= config.n_layers) ||
      (is_expert(key.role) && key.expert >= config.n_experts)) {
    throw Error(ErrorCode::invalid_argument,
                "no tensor of layer " + std::to_string(key.layer) + ", expert " +
                    std::to_string(key.expert) + " in a model of " +
                    std::to_string(config.n_layers) + " layers of " +
                    std::to_string(config.n_experts) + " experts");
  }
}

std::size_t position_of(const TensorKey& key, const Config& config) noexcept {
  const std::size_t layer_size = kPerLayer + config.n_experts * kPerExpert;
  if (is_global(key.role)) {
    if (key.role == TensorRole::embedding) return 0;
    return 1 + config.n_layers * layer_size + (key.role == TensorRole::lm_head ? 1 : 0);
  }
  const std::size_t layer = 1 + key.layer * layer_size;
  if (!is_expert(key.role)) {
    return layer + index_of(key.role) - index_of(TensorRole::attention_norm);
  }
  return layer + kPerLayer + key.expert * kPerExpert + index_of(key.role) -
         index_of(TensorRole::expert_gate);
}

}  // namespace detail
}  // namespace mixtral

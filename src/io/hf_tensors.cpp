#include "io/hf_tensors.hpp"

#include <array>

namespace mixtral::detail {
namespace {

constexpr std::size_t index_of(TensorRole role) { return static_cast<std::size_t>(role); }

constexpr std::size_t kGlobals = index_of(TensorRole::attention_norm);
constexpr std::size_t kPerLayer = index_of(TensorRole::expert_gate) - kGlobals;
constexpr std::size_t kPerExpert = index_of(TensorRole::expert_up) + 1 - kGlobals - kPerLayer;

/// By role; after the prefix of the layer, and for experts after that of the expert.
constexpr std::array<const char*, kGlobals + kPerLayer + kPerExpert> kNames = {
    "model.embed_tokens.weight",
    "model.norm.weight",
    "lm_head.weight",
    "input_layernorm.weight",
    "self_attn.q_proj.weight",
    "self_attn.k_proj.weight",
    "self_attn.v_proj.weight",
    "self_attn.o_proj.weight",
    "post_attention_layernorm.weight",
    "block_sparse_moe.gate.weight",
    "w1.weight",
    "w2.weight",
    "w3.weight",
};

}  // namespace

std::string hf_layer_prefix(std::size_t layer) {
  return "model.layers." + std::to_string(layer) + ".";
}

std::string hf_name_of(const TensorKey& key) {
  const std::string name = kNames[index_of(key.role)];
  if (is_global(key.role)) return name;
  const std::string layer = hf_layer_prefix(key.layer);
  if (!is_expert(key.role)) return layer + name;
  return layer + "block_sparse_moe.experts." + std::to_string(key.expert) + "." + name;
}

std::vector<std::size_t> shape_of(TensorRole role, const Config& c) {
  switch (role) {
    case TensorRole::embedding:
    case TensorRole::lm_head:
      return {c.vocab, c.hidden};
    case TensorRole::final_norm:
    case TensorRole::attention_norm:
    case TensorRole::ffn_norm:
      return {c.hidden};
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

std::size_t position_of(const TensorKey& key, const Config& config) noexcept {
  const std::size_t role = index_of(key.role);
  if (is_global(key.role)) return role;
  const std::size_t layer = kGlobals + key.layer * (kPerLayer + config.n_experts * kPerExpert);
  if (!is_expert(key.role)) return layer + role - kGlobals;
  return layer + kPerLayer + key.expert * kPerExpert + role - kGlobals - kPerLayer;
}

}  // namespace mixtral::detail

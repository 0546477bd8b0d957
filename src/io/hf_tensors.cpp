#include "io/hf_tensors.hpp"

#include "io/model_tensors.hpp"

namespace mixtral::detail {
namespace {

/// By role; after the prefix of the layer, and for experts after that of the expert.
constexpr const char* kNames[] = {
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
    "w3.weight",
    "w2.weight",
};

}  // namespace

std::string hf_layer_prefix(std::size_t layer) {
  return "model.layers." + std::to_string(layer) + ".";
}

std::string hf_name_of(const TensorKey& key) {
  const std::string name = kNames[static_cast<std::size_t>(key.role)];
  if (is_global(key.role)) return name;
  const std::string layer = hf_layer_prefix(key.layer);
  if (!is_expert(key.role)) return layer + name;
  return layer + "block_sparse_moe.experts." + std::to_string(key.expert) + "." + name;
}

std::vector<std::size_t> hf_shape_of(TensorRole role, const Config& config) {
  const auto [rows, cols] = shape_of(role, config);
  if (is_norm(role)) return {cols};
  return {rows, cols};
}

}  // namespace mixtral::detail

#include "io/gguf_tensors.hpp"

#include "io/model_tensors.hpp"

namespace mixtral::detail {
namespace {

/// By role.
constexpr const char* kNames[] = {
    "token_embd", "output_norm", "output",   "attn_norm",    "attn_q", "attn_k",   "attn_v",
    "attn_output", "ffn_norm",   "ffn_gate_inp", "ffn_gate", "ffn_up", "ffn_down",
};

std::string stem_of(TensorRole role) { return kNames[static_cast<std::size_t>(role)]; }

}  // namespace

std::string gguf_layer_prefix(std::size_t layer) { return "blk." + std::to_string(layer) + "."; }

std::string gguf_name_of(TensorRole role) {
  return stem_of(role) + (is_expert(role) ? "_exps.weight" : ".weight");
}

std::string gguf_name_of(const TensorKey& key) {
  return is_global(key.role) ? gguf_name_of(key.role)
                             : gguf_layer_prefix(key.layer) + gguf_name_of(key.role);
}

std::string gguf_expert_name_of(const TensorKey& key) {
  return gguf_layer_prefix(key.layer) + stem_of(key.role) + "." + std::to_string(key.expert) + ".weight";
}

}  // namespace mixtral::detail

// What GGUF files call each tensor of a Mixtral.
#pragma once

#include <cstddef>
#include <string>

#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

/// "blk.3."
std::string gguf_layer_prefix(std::size_t layer);

/// The name without the layer's prefix: "attn_q.weight"; of an expert's matrix that of the tensor with those
/// of all experts, "ffn_gate_exps.weight".
std::string gguf_name_of(TensorRole role);

/// "blk.3.ffn_gate_exps.weight".
std::string gguf_name_of(const TensorKey& key);

/// "blk.3.ffn_gate.5.weight": that of the expert alone, as files of the first months have it.
std::string gguf_expert_name_of(const TensorKey& key);

}  // namespace mixtral::detail

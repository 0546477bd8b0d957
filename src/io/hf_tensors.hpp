// What Hugging Face calls each tensor of a Mixtral, and its shape.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "mixtral/core/config.hpp"
#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

constexpr bool is_global(TensorRole role) noexcept { return role <= TensorRole::lm_head; }
constexpr bool is_expert(TensorRole role) noexcept { return role >= TensorRole::expert_gate; }

/// "model.layers.3."
std::string hf_layer_prefix(std::size_t layer);

/// The name in published checkpoints: one tensor for each matrix of each expert.
std::string hf_name_of(const TensorKey& key);

/// Outermost first: [hidden] for a norm, [rows, cols] for the others.
std::vector<std::size_t> shape_of(TensorRole role, const Config& config);

/// Position of a tensor in the order of visit_tensors. `key` must be inside the model.
std::size_t position_of(const TensorKey& key, const Config& config) noexcept;

/// Calls visit(TensorKey) for every tensor of the model, the lm_head also when it is tied.
template <class Visit>
void visit_tensors(const Config& config, Visit visit) {
  for (const TensorRole role :
       {TensorRole::embedding, TensorRole::final_norm, TensorRole::lm_head}) {
    visit(TensorKey{role});
  }
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    for (const TensorRole role : {TensorRole::attention_norm, TensorRole::query, TensorRole::key,
                                  TensorRole::value, TensorRole::output, TensorRole::ffn_norm,
                                  TensorRole::router}) {
      visit(TensorKey{role, layer});
    }
    for (std::size_t expert = 0; expert < config.n_experts; ++expert) {
      for (const TensorRole role :
           {TensorRole::expert_gate, TensorRole::expert_down, TensorRole::expert_up}) {
        visit(TensorKey{role, layer, expert});
      }
    }
  }
}

}  // namespace mixtral::detail

// What Hugging Face calls each tensor of a Mixtral.
#pragma once

#include <cstddef>
#include <string>

#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

/// "model.layers.3."
std::string hf_layer_prefix(std::size_t layer);

/// The name in published checkpoints: one tensor for each matrix of each expert.
std::string hf_name_of(const TensorKey& key);

}  // namespace mixtral::detail

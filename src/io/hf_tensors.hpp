// What Hugging Face calls each tensor of a Mixtral, and its shape.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "mixtral/core/config.hpp"
#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

/// "model.layers.3."
std::string hf_layer_prefix(std::size_t layer);

/// The name in published checkpoints: one tensor for each matrix of each expert.
std::string hf_name_of(const TensorKey& key);

/// Outermost first: [hidden] for a norm, [rows, cols] for the others.
std::vector<std::size_t> hf_shape_of(TensorRole role, const Config& config);

}  // namespace mixtral::detail

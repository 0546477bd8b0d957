// The tensors of a Mixtral: shapes, and their places in a list of them all.
#pragma once

#include <cstddef>

#include "mixtral/core/config.hpp"
#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

constexpr bool is_global(TensorRole role) noexcept { return role <= TensorRole::lm_head; }
constexpr bool is_expert(TensorRole role) noexcept { return role >= TensorRole::expert_gate; }
constexpr bool is_norm(TensorRole role) noexcept {
  return role == TensorRole::final_norm || role == TensorRole::attention_norm ||
         role == TensorRole::ffn_norm;
}

struct MatrixShape {
  std::size_t rows, cols;
};

/// That of a vector is one row.
MatrixShape shape_of(TensorRole role, const Config& config) noexcept;

/// Throws Error(invalid_argument) for a layer or expert outside the model.
void check_inside(const TensorKey& key, const Config& config);

/// Position of a tensor in the order of visit_tensors. `key` must be inside the model.
std::size_t position_of(const TensorKey& key, const Config& config) noexcept;

}  // namespace mixtral::detail

// Sizes of a model's weights, and how much of them a forward pass reads.
#pragma once

#include <array>
#include <cstddef>

#include "mixtral/io/checkpoint.hpp"

namespace mixtral::cli {

struct WeightTotals {
  std::size_t parameters = 0;
  std::size_t bytes = 0;
  std::array<std::size_t, kDTypeCount> parameters_of = {}, bytes_of = {};  ///< by DType

  void add(const WeightView& weight) noexcept;
};

/// The weights by how often a token uses them.
struct WeightCensus {
  WeightTotals stored;     ///< all of them; a tied lm_head that is stored apart counts
  WeightTotals embedding;  ///< a token reads one row
  WeightTotals dense;      ///< read for every token: attention, norms, routers, lm_head
  WeightTotals lm_head;    ///< the part of `dense` that only logits need
  WeightTotals experts;
  std::size_t file_bytes = 0;  ///< of all in the form that the files have
  bool is_tied = false;       ///< lm_head has the parameters of the embedding
  std::size_t n_experts = 0;  ///< in all layers
  std::size_t n_active = 0;   ///< of them, used by one token

  /// Tied ones count once.
  std::size_t parameters() const noexcept;
  /// Used by one token; the whole embedding counts, as model cards have it.
  std::size_t active_parameters() const noexcept;
  std::size_t bytes_per_expert() const noexcept { return experts.bytes / n_experts; }
};

WeightCensus count_weights(const Checkpoint& checkpoint);

}  // namespace mixtral::cli

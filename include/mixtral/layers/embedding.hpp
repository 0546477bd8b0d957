// Token embedding.
#pragma once

#include <cstddef>

#include "mixtral/layers/compute.hpp"

namespace mixtral {

/// Looks up rows of the embedding matrix. Mixtral doesn't scale them.
class Embedding {
 public:
  explicit Embedding(WeightView weight) : weight_(weight) {}

  /// Widens the row of `token`, which must be below the vocabulary's size, to out [hidden] f32.
  void forward_row(TokenId token, const KernelTable& kernels, float* out) const noexcept {
    kernels.widen[static_cast<std::size_t>(weight_.dtype)](
        weight_.row(static_cast<std::size_t>(token)), weight_.cols, out);
  }

 private:
  WeightView weight_;  // [vocab, hidden]
};

}  // namespace mixtral

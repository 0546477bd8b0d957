// Token embedding.
#pragma once

#include <cstddef>

#include "mixtral/layers/compute.hpp"
#include "mixtral/quant/convert.hpp"

namespace mixtral {

/// Looks up rows of the embedding matrix. Mixtral doesn't scale them.
class Embedding {
 public:
  explicit Embedding(WeightView weight) : weight_(weight) {}

  /// Widens the row of `token`, which must be below the vocabulary's size, to out [hidden] f32.
  void forward_row(TokenId token, const KernelTable& kernels, float* out) const noexcept {
    const std::byte* row = weight_.row(static_cast<std::size_t>(token));
    if (is_quantised(weight_.dtype)) {
      quant::dequantise(weight_.dtype, row, {out, weight_.cols});
    } else {
      kernels.widen[static_cast<std::size_t>(weight_.dtype)](row, weight_.cols, out);
    }
  }

 private:
  WeightView weight_;  // [vocab, hidden], row-major of any type
};

}  // namespace mixtral

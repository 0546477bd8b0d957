// Rotary position embedding (Su et al., RoFormer) in the half-split order of Hugging Face checkpoints.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include "mixtral/layers/compute.hpp"

namespace mixtral {

/// Angles position * theta^(-2i / head_dim), i = 0 .. head_dim/2 - 1.
class Rotary {
 public:
  Rotary(std::size_t head_dim, double theta) : inverse_frequencies_(head_dim / 2) {
    for (std::size_t i = 0; i < head_dim / 2; ++i) {
      const double exponent = static_cast<double>(2 * i) / static_cast<double>(head_dim);
      inverse_frequencies_.data()[i] = static_cast<float>(1.0 / std::pow(theta, exponent));
    }
  }

  std::size_t half() const noexcept { return inverse_frequencies_.size(); }

  /// Cosines and sines [head_dim/2] of one position. The angle is rounded to f32 before its cosine
  /// is taken, as Hugging Face does: at large positions that rounding is what counts.
  void angles(std::size_t position, std::span<float> cos, std::span<float> sin) const noexcept {
    for (std::size_t i = 0; i < half(); ++i) {
      const float angle = static_cast<float>(position) * inverse_frequencies_.data()[i];
      cos[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
      sin[i] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  }

 private:
  AlignedBuffer<float> inverse_frequencies_;  // [head_dim/2]
};

}  // namespace mixtral

// The RMSNorm layer.
#pragma once

#include <cstddef>
#include <utility>

#include "mixtral/layers/compute.hpp"

namespace mixtral {

/// y = gain * x / sqrt(mean(x^2) + eps), row by row.
class RmsNorm {
 public:
  /// `gain` has one row of any type; it is kept widened to f32.
  RmsNorm(WeightView gain, float eps, const KernelTable& kernels) : gain_(gain.cols), eps_(eps) {
    kernels.widen[static_cast<std::size_t>(gain.dtype)](gain.data, gain.cols, gain_.data());
  }

  /// Normalises one row of `gain` width. out may be x.
  void forward_row(const float* x, const KernelTable& kernels, float* out) const noexcept {
    kernels.rms_norm(x, gain_.data(), eps_, gain_.size(), out);
  }

 private:
  AlignedBuffer<float> gain_;  // [hidden]
  float eps_;
};

}  // namespace mixtral

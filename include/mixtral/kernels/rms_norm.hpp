// Root-mean-square normalisation (Zhang and Sennrich, 2019) with a plain gain.
#pragma once

#include <cmath>
#include <cstddef>

#include "mixtral/kernels/elementwise.hpp"

namespace mixtral::kernels {

template <class Arch>
void rms_norm(const float* x, const float* gain, float eps, std::size_t n, float* out) noexcept {
  using Vec = simd::Vec<Arch>;
  constexpr std::size_t kStep = simd::kWidth<Arch>;
  Vec squares = simd::broadcast<Arch>(0.0f);
  std::size_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    const Vec v = simd::load<Arch>(x + i);
    squares = simd::multiply_add<Arch>(v, v, squares);
  }
  if (i < n) {
    const Vec v = simd::load_partial<Arch>(x + i, n - i);
    squares = simd::multiply_add<Arch>(v, v, squares);
  }
  const float mean = simd::sum<Arch>(squares) / static_cast<float>(n);
  const Vec scale = simd::broadcast<Arch>(1.0f / __builtin_sqrtf(mean + eps));
  map_row<Arch>(n, out, [&](Vec v, Vec g) { return g * (v * scale); }, x, gain);
}

}  // namespace mixtral::kernels

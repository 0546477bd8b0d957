// Kernels that go through rows element by element.
#pragma once

#include <cstddef>

#include "mixtral/simd/simd.hpp"

namespace mixtral::kernels {

/// y[i] = f(i-th elements of the inputs) for n elements, the last few through padded vectors.
template <class Arch, class T, class F, class... In>
void map_row(std::size_t n, T* out, F f, const In*... in) noexcept {
  constexpr std::size_t kStep = simd::kWidth<Arch>;
  std::size_t i = 0;
  for (; i + kStep <= n; i += kStep) simd::store<Arch>(out + i, f(simd::load<Arch>(in + i)...));
  if (i < n) {
    simd::store_partial<Arch>(out + i, f(simd::load_partial<Arch>(in + i, n - i)...), n - i);
  }
}

template <class Arch>
void swiglu(float* gate, const float* up, std::size_t n) noexcept {
  using Vec = simd::Vec<Arch>;
  const Vec one = simd::broadcast<Arch>(1.0f);
  const Vec zero = simd::broadcast<Arch>(0.0f);
  map_row<Arch>(
      n, gate,
      [&](Vec g, Vec u) { return g / (one + simd::exponential<Arch>(zero - g)) * u; },
      static_cast<const float*>(gate), up);
}

template <class Arch>
void add_scaled(float scale, const float* x, std::size_t n, float* y) noexcept {
  using Vec = simd::Vec<Arch>;
  const Vec factor = simd::broadcast<Arch>(scale);
  map_row<Arch>(
      n, y, [&](Vec a, Vec b) { return simd::multiply_add<Arch>(factor, a, b); }, x,
      static_cast<const float*>(y));
}

template <class Arch>
void multiply(float scale, std::size_t n, float* x) noexcept {
  using Vec = simd::Vec<Arch>;
  const Vec factor = simd::broadcast<Arch>(scale);
  map_row<Arch>(n, x, [&](Vec a) { return a * factor; }, static_cast<const float*>(x));
}

template <class Arch, class T>
void narrow(const float* from, std::size_t n, std::byte* to) noexcept {
  map_row<Arch>(n, reinterpret_cast<T*>(to), [](simd::Vec<Arch> v) { return v; }, from);
}

template <class Arch, class T>
void widen(const std::byte* from, std::size_t n, float* to) noexcept {
  map_row<Arch>(n, to, [](simd::Vec<Arch> v) { return v; }, reinterpret_cast<const T*>(from));
}

/// Half-split rotation ("rotate_half"): out1 = x1 cos - x2 sin, out2 = x2 cos + x1 sin.
/// Su et al., RoFormer; the pairing is Hugging Face's.
template <class Arch>
void rope(float* x, const float* cos, const float* sin, std::size_t half) noexcept {
  using Vec = simd::Vec<Arch>;
  const Vec zero = simd::broadcast<Arch>(0.0f);
  const auto rotate = [&](Vec x1, Vec x2, Vec c, Vec s, Vec& out1, Vec& out2) {
    out1 = simd::multiply_add<Arch>(zero - x2, s, x1 * c);
    out2 = simd::multiply_add<Arch>(x1, s, x2 * c);
  };
  constexpr std::size_t kStep = simd::kWidth<Arch>;
  std::size_t i = 0;
  Vec out1, out2;
  for (; i + kStep <= half; i += kStep) {
    rotate(simd::load<Arch>(static_cast<const float*>(x + i)),
           simd::load<Arch>(static_cast<const float*>(x + half + i)), simd::load<Arch>(cos + i),
           simd::load<Arch>(sin + i), out1, out2);
    simd::store<Arch>(x + i, out1);
    simd::store<Arch>(x + half + i, out2);
  }
  if (const std::size_t rest = half - i; rest > 0) {
    rotate(simd::load_partial<Arch>(static_cast<const float*>(x + i), rest),
           simd::load_partial<Arch>(static_cast<const float*>(x + half + i), rest),
           simd::load_partial<Arch>(cos + i, rest), simd::load_partial<Arch>(sin + i, rest), out1,
           out2);
    simd::store_partial<Arch>(x + i, out1, rest);
    simd::store_partial<Arch>(x + half + i, out2, rest);
  }
}

}  // namespace mixtral::kernels

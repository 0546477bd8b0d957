// One step of a dot product: how many elements it takes, and how it adds them up.
#pragma once

#include "mixtral/simd/simd.hpp"

namespace mixtral::simd {

/// Multiplies `kStep` weights of type W by as many activations of type X and adds them to a vector
/// of f32 sums. This primary template widens both to f32.
template <class Arch, class W, class X>
struct Dot {
  using Weights = Vec<Arch>;
  using Activations = Vec<Arch>;
  static constexpr std::size_t kStep = kWidth<Arch>;

  static Weights weights(const W* from) noexcept { return load<Arch>(from); }
  static Activations activations(const X* from) noexcept { return load<Arch>(from); }
  static Vec<Arch> step(Weights w, Activations x, Vec<Arch> sums) noexcept {
    return multiply_add<Arch>(w, x, sums);
  }
};

#if XSIMD_WITH_AVX512BW && defined(__AVX512BF16__)
/// VDPBF16PS: pairs of bf16 products added to f32 sums. Subnormals count as zero.
template <>
struct Dot<Avx512, BF16, BF16> {
  using Weights = __m512bh;
  using Activations = __m512bh;
  static constexpr std::size_t kStep = 32;

  static __m512bh weights(const BF16* from) noexcept {
    return std::bit_cast<__m512bh>(_mm512_loadu_si512(from));
  }
  static __m512bh activations(const BF16* from) noexcept { return weights(from); }
  static Vec<Avx512> step(__m512bh w, __m512bh x, Vec<Avx512> sums) noexcept {
    return _mm512_dpbf16_ps(sums, w, x);
  }
};
#endif

/// True when Arch multiplies bf16 by bf16 directly.
template <class Arch>
inline constexpr bool kHasBf16Dot = Dot<Arch, BF16, BF16>::kStep > kWidth<Arch>;

}  // namespace mixtral::simd

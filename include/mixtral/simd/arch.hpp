// The instruction sets that kernels are templates over, as tag types.
#pragma once

#include <concepts>

#include <xsimd/xsimd.hpp>

#include "mixtral/core/isa.hpp"

namespace mixtral::simd {

#if XSIMD_WITH_SSE2 || XSIMD_WITH_NEON64
#define MIXTRAL_HAS_XSIMD_BASELINE 1
#else
#define MIXTRAL_HAS_XSIMD_BASELINE 0
#endif

/// What every machine of the target architecture has. On an architecture that xsimd doesn't know,
/// plain loops stand in for the vector type.
struct Baseline {
  static constexpr Isa kIsa = Isa::baseline;
#if XSIMD_WITH_SSE2
  using Xsimd = xsimd::sse2;
#elif XSIMD_WITH_NEON64
  using Xsimd = xsimd::neon64;
#endif
};

#if XSIMD_WITH_FMA3_AVX2
struct Avx2 {
  static constexpr Isa kIsa = Isa::avx2;
  using Xsimd = xsimd::fma3<xsimd::avx2>;
};
#endif

#if XSIMD_WITH_FMA3_AVX2 && defined(__AVXVNNI__)
struct Avx2Vnni {
  static constexpr Isa kIsa = Isa::avx2_vnni;
  using Xsimd = Avx2::Xsimd;
};
#endif

#if XSIMD_WITH_AVX512BW && defined(__AVX512BF16__)
struct Avx512 {
  static constexpr Isa kIsa = Isa::avx512;
  using Xsimd = xsimd::avx512bw;
};
#endif

/// Avx2 or Avx2Vnni: all but their dot products of bytes is the same.
template <class Arch>
concept Avx2Vectors = std::derived_from<typename Arch::Xsimd, xsimd::avx2>;

/// The best one that this translation unit is compiled for.
#if XSIMD_WITH_AVX512BW && defined(__AVX512BF16__)
using Native = Avx512;
#elif XSIMD_WITH_FMA3_AVX2 && defined(__AVXVNNI__)
using Native = Avx2Vnni;
#elif XSIMD_WITH_FMA3_AVX2
using Native = Avx2;
#else
using Native = Baseline;
#endif

}  // namespace mixtral::simd

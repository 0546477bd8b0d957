// Load, convert, store and arithmetic on one vector of f32, for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "mixtral/core/dtype.hpp"
#include "mixtral/simd/arch.hpp"

#if !MIXTRAL_HAS_XSIMD_BASELINE
#include "mixtral/simd/loops.hpp"
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mixtral::simd {

/// The f32 vector of Arch.
#if MIXTRAL_HAS_XSIMD_BASELINE
template <class Arch>
using Vec = xsimd::batch<float, typename Arch::Xsimd>;
#else
template <class Arch>
using Vec = LoopVec;
#endif

template <class Arch>
inline constexpr std::size_t kWidth = Vec<Arch>::size;

/// Conversions between memory in a storage type and a vector; loads take any address. This primary
/// template widens element by element; instruction sets that can do better specialise it.
template <class Arch, class T>
struct Memory {
  static Vec<Arch> load(const T* from) noexcept {
    T elements[kWidth<Arch>];
    __builtin_memcpy(elements, static_cast<const void*>(from), sizeof elements);
    float widened[kWidth<Arch>];
    for (std::size_t i = 0; i < kWidth<Arch>; ++i) widened[i] = to_float(elements[i]);
    return Vec<Arch>::load_unaligned(widened);
  }
  static void store(T* to, Vec<Arch> value) noexcept {
    float widened[kWidth<Arch>];
    value.store_unaligned(widened);
    for (std::size_t i = 0; i < kWidth<Arch>; ++i) {
      if constexpr (kDTypeOf<T> == DType::bf16) {
        to[i] = to_bf16(widened[i]);
      } else {
        to[i] = to_f16(widened[i]);
      }
    }
  }
};

template <class Arch>
struct Memory<Arch, float> {
  static Vec<Arch> load(const float* from) noexcept { return Vec<Arch>::load_unaligned(from); }
  static void store(float* to, Vec<Arch> value) noexcept { value.store_unaligned(to); }
};

/// Signed bytes are only read.
template <class Arch>
struct Memory<Arch, std::int8_t> {
  static Vec<Arch> load(const std::int8_t* from) noexcept {
    float widened[kWidth<Arch>];
    for (std::size_t i = 0; i < kWidth<Arch>; ++i) widened[i] = from[i];
    return Vec<Arch>::load_unaligned(widened);
  }
};

#if defined(__x86_64__)
template <>
struct Memory<Baseline, std::int8_t> {
  static Vec<Baseline> load(const std::int8_t* from) noexcept {
    std::int32_t bytes;
    __builtin_memcpy(&bytes, from, sizeof bytes);
    const __m128i zero = _mm_setzero_si128();
    const __m128i upper = _mm_unpacklo_epi16(zero, _mm_unpacklo_epi8(zero, _mm_cvtsi32_si128(bytes)));
    return _mm_cvtepi32_ps(_mm_srai_epi32(upper, 24));
  }
};

template <>
struct Memory<Baseline, F16> {
  static Vec<Baseline> load(const F16* from) noexcept {
    const __m128i packed = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    const __m128i bits = _mm_unpacklo_epi16(packed, _mm_setzero_si128());
    const __m128i sign = _mm_slli_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x8000)), 16);
    const __m128i magnitude = _mm_slli_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x7fff)), 13);
    // 2^112 is the difference of the exponents' biases; the product normalises subnormals too.
    const __m128 scaled =
        _mm_mul_ps(_mm_castsi128_ps(magnitude), _mm_castsi128_ps(_mm_set1_epi32(0x77800000)));
    const __m128i special = _mm_and_si128(
        _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7bff << 13)), _mm_set1_epi32(0x7f800000));
    return _mm_castsi128_ps(
        _mm_or_si128(_mm_or_si128(_mm_castps_si128(scaled), special), sign));
  }
  static void store(F16* to, Vec<Baseline> value) noexcept {
    float widened[4];
    value.store_unaligned(widened);
    for (int i = 0; i < 4; ++i) to[i] = to_f16(widened[i]);
  }
};

template <>
struct Memory<Baseline, BF16> {
  static Vec<Baseline> load(const BF16* from) noexcept {
    const __m128i packed = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), packed));
  }
  static void store(BF16* to, Vec<Baseline> value) noexcept {
    float widened[4];
    value.store_unaligned(widened);
    for (int i = 0; i < 4; ++i) to[i] = to_bf16(widened[i]);
  }
};
#endif

#if XSIMD_WITH_FMA3_AVX2
template <Avx2Vectors Arch>
struct Memory<Arch, std::int8_t> {
  static Vec<Arch> load(const std::int8_t* from) noexcept {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
  }
};

template <Avx2Vectors Arch>
struct Memory<Arch, F16> {
  static Vec<Arch> load(const F16* from) noexcept {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static void store(F16* to, Vec<Arch> value) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }
};

template <Avx2Vectors Arch>
struct Memory<Arch, BF16> {
  static Vec<Arch> load(const BF16* from) noexcept {
    const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(packed), 16));
  }
  static void store(BF16* to, Vec<Arch> value) noexcept {
    // The rounding of to_bf16: add 0x7fff plus the last kept bit; NaN becomes quiet instead.
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i last = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(bits, _mm256_add_epi32(last, _mm256_set1_epi32(0x7fff))), 16);
    const __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
    const __m256i wide = _mm256_blendv_epi8(rounded, quiet, is_nan);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(wide, wide), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(packed));
  }
};
#endif

#if XSIMD_WITH_AVX512BW && defined(__AVX512BF16__)
template <>
struct Memory<Avx512, std::int8_t> {
  static Vec<Avx512> load(const std::int8_t* from) noexcept {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
  }
};

template <>
struct Memory<Avx512, F16> {
  static Vec<Avx512> load(const F16* from) noexcept {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static void store(F16* to, Vec<Avx512> value) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }
};

template <>
struct Memory<Avx512, BF16> {
  static Vec<Avx512> load(const BF16* from) noexcept {
    const __m256i packed = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(packed), 16));
  }
  /// Subnormal inputs round to zero (VCVTNEPS2BF16).
  static void store(BF16* to, Vec<Avx512> value) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        std::bit_cast<__m256i>(_mm512_cvtneps_pbh(value)));
  }
};
#endif

template <class Arch, class T>
Vec<Arch> load(const T* from) noexcept {
  return Memory<Arch, T>::load(from);
}

template <class Arch, class T>
void store(T* to, Vec<Arch> value) noexcept {
  Memory<Arch, T>::store(to, value);
}

/// The first `count` < kWidth elements; the other lanes are zero.
template <class Arch, class T>
Vec<Arch> load_partial(const T* from, std::size_t count) noexcept {
  T padded[kWidth<Arch>] = {};
  __builtin_memcpy(padded, from, count * sizeof(T));
  return load<Arch>(static_cast<const T*>(padded));
}

/// Stores the first `count` < kWidth lanes.
template <class Arch, class T>
void store_partial(T* to, Vec<Arch> value, std::size_t count) noexcept {
  T padded[kWidth<Arch>];
  store<Arch>(static_cast<T*>(padded), value);
  __builtin_memcpy(to, padded, count * sizeof(T));
}

/// Fetches kBytes that lie `ahead` bytes behind `from` to the L2 cache. They may be where no pointer may
/// point.
template <class Arch, std::size_t kBytes>
void prefetch(const void* from, std::uintptr_t ahead) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(from) + ahead;
  for (std::size_t line = 0; line < kBytes; line += 64) {
    __builtin_prefetch(reinterpret_cast<const void*>(address + line), 0, 2);
  }
}

template <class Arch>
Vec<Arch> broadcast(float value) noexcept {
  return Vec<Arch>::broadcast(value);
}

/// A half in every lane.
template <class Arch>
Vec<Arch> broadcast(F16 value) noexcept {
  return Vec<Arch>::broadcast(to_float(value));
}

#if XSIMD_WITH_FMA3_AVX2
template <Avx2Vectors Arch>
Vec<Arch> broadcast(F16 value) noexcept {
  return _mm256_cvtph_ps(_mm_set1_epi16(static_cast<short>(value.bits)));
}
#endif

#if XSIMD_WITH_AVX512BW && defined(__AVX512BF16__)
template <>
inline Vec<Avx512> broadcast<Avx512>(F16 value) noexcept {
  return _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(value.bits)));
}
#endif

/// a * b + c, fused where the instruction set can.
template <class Arch>
Vec<Arch> multiply_add(Vec<Arch> a, Vec<Arch> b, Vec<Arch> c) noexcept {
#if MIXTRAL_HAS_XSIMD_BASELINE
  return xsimd::fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// c - a * b, likewise.
template <class Arch>
Vec<Arch> subtract_product(Vec<Arch> a, Vec<Arch> b, Vec<Arch> c) noexcept {
#if MIXTRAL_HAS_XSIMD_BASELINE
  return xsimd::fnma(a, b, c);
#else
  return c - a * b;
#endif
}

#if XSIMD_WITH_AVX512BW && defined(__AVX512BF16__)
/// xsimd 8.1 leaves it to the compiler which product of a * b + c * d is fused: not the same everywhere.
template <>
inline Vec<Avx512> multiply_add<Avx512>(Vec<Avx512> a, Vec<Avx512> b, Vec<Avx512> c) noexcept {
  return _mm512_fmadd_ps(a, b, c);
}
template <>
inline Vec<Avx512> subtract_product<Avx512>(Vec<Avx512> a, Vec<Avx512> b, Vec<Avx512> c) noexcept {
  return _mm512_fnmadd_ps(a, b, c);
}
#endif

/// Sum of the lanes, always in the same order.
template <class Arch>
float sum(Vec<Arch> value) noexcept {
  if constexpr (requires { reduce_add(value); }) {
    return reduce_add(value);
  } else {
    return hadd(value);  // its name before xsimd 10
  }
}

/// Largest lane.
template <class Arch>
float max_lane(Vec<Arch> value) noexcept {
  float lanes[kWidth<Arch>];
  value.store_unaligned(lanes);
  float largest = lanes[0];
  for (const float lane : lanes) largest = lane > largest ? lane : largest;
  return largest;
}

/// Sums of the lanes of four vectors; specialised where they can be added up together.
template <class Arch>
void sum_four(Vec<Arch> a, Vec<Arch> b, Vec<Arch> c, Vec<Arch> d, float* out) noexcept {
  out[0] = sum<Arch>(a);
  out[1] = sum<Arch>(b);
  out[2] = sum<Arch>(c);
  out[3] = sum<Arch>(d);
}

#if XSIMD_WITH_AVX512BW && defined(__AVX512BF16__)
template <>
inline void sum_four<Avx512>(Vec<Avx512> a, Vec<Avx512> b, Vec<Avx512> c, Vec<Avx512> d,
                             float* out) noexcept {
  // Transpose 4x4 blocks while adding: halves, then quarters, then lanes.
  const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
  const __m512 abcd =
      _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
  const __m512 pairs = _mm512_add_ps(abcd, _mm512_permute_ps(abcd, 0xb1));
  const __m512 sums = _mm512_add_ps(pairs, _mm512_permute_ps(pairs, 0x4e));
  const __m512i first_lanes = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0);
  _mm_storeu_ps(out, _mm512_castps512_ps128(_mm512_permutexvar_ps(first_lanes, sums)));
}
#endif

template <class Arch>
Vec<Arch> exponential(Vec<Arch> value) noexcept {
  return exp(value);
}

/// Larger of each pair of lanes.
template <class Arch>
Vec<Arch> maximum(Vec<Arch> a, Vec<Arch> b) noexcept {
  return max(a, b);
}

}  // namespace mixtral::simd

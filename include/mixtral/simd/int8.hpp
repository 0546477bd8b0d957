// Vectors of 32-bit words that hold four bytes each, and dot products of bytes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "mixtral/simd/simd.hpp"

namespace mixtral::simd {

/// kWidth<Arch> words of 32 bits; of an unpacked weight, four unsigned bytes each.
/// IntVec holds as many signed sums.
#if MIXTRAL_HAS_XSIMD_BASELINE
template <class Arch>
using Words = xsimd::batch<std::uint32_t, typename Arch::Xsimd>;
template <class Arch>
using IntVec = xsimd::batch<std::int32_t, typename Arch::Xsimd>;
#else
template <class Arch>
using Words = LoopInts<std::uint32_t>;
template <class Arch>
using IntVec = LoopInts<std::int32_t>;
#endif

template <class Arch>
Words<Arch> load_words(const std::byte* from) noexcept {
  return Words<Arch>::load_unaligned(reinterpret_cast<const std::uint32_t*>(from));
}

/// Words of one byte each.
template <class Arch>
Words<Arch> load_bytes(const std::byte* from) noexcept {
  std::uint32_t words[kWidth<Arch>];
  for (std::size_t i = 0; i < kWidth<Arch>; ++i) words[i] = std::to_integer<std::uint32_t>(from[i]);
  return Words<Arch>::load_unaligned(words);
}

template <class Arch>
Words<Arch> broadcast_word(std::uint32_t value) noexcept {
  return Words<Arch>::broadcast(value);
}

template <class Arch>
IntVec<Arch> broadcast_int(std::int32_t value) noexcept {
  return IntVec<Arch>::broadcast(value);
}

/// The lower four bits of each byte.
template <class Arch>
Words<Arch> low_nibbles(Words<Arch> words) noexcept {
  return words & broadcast_word<Arch>(0x0f0f0f0fu);
}

/// The upper four bits of each byte.
template <class Arch>
Words<Arch> high_nibbles(Words<Arch> words) noexcept {
  return (words >> 4) & broadcast_word<Arch>(0x0f0f0f0fu);
}

/// Sums of bytes, modulo 256.
template <class Arch>
  requires(!Avx2Vectors<Arch>)
Words<Arch> add_bytes(Words<Arch> a, Words<Arch> b) noexcept {
  const Words<Arch> low = broadcast_word<Arch>(0x7f7f7f7fu);
  return ((a & low) + (b & low)) ^ ((a ^ b) & broadcast_word<Arch>(0x80808080u));
}

/// 3 b / 256 of each byte b, rounded down.
template <class Arch>
  requires(!Avx2Vectors<Arch>)
Words<Arch> times_3_over_256(Words<Arch> bytes) noexcept {
  const Words<Arch> every_other = broadcast_word<Arch>(0x00ff00ffu);
  const Words<Arch> even = bytes & every_other, odd = (bytes >> 8) & every_other;
  return (((even + even + even) >> 8) & every_other) | ((odd + odd + odd) & broadcast_word<Arch>(0xff00ff00u));
}

template <class Arch>
Vec<Arch> to_float(IntVec<Arch> value) noexcept {
#if MIXTRAL_HAS_XSIMD_BASELINE
  return xsimd::to_float(value);
#else
  return value.to_float();
#endif
}

/// Words below 2^31 as floats.
template <class Arch>
Vec<Arch> to_float(Words<Arch> value) noexcept {
  return to_float<Arch>(std::bit_cast<IntVec<Arch>>(value));
}

/// Words as the floats that have their bits.
template <class Arch>
Vec<Arch> as_float(Words<Arch> value) noexcept {
  return std::bit_cast<Vec<Arch>>(value);
}

/// Each byte b of `indices`, which must be below 16, becomes table[b].
template <class Arch>
  requires(!Avx2Vectors<Arch>)
Words<Arch> lookup(const std::array<std::uint8_t, 16>& table, Words<Arch> indices) noexcept {
  std::uint8_t bytes[4 * kWidth<Arch>];
  __builtin_memcpy(bytes, &indices, sizeof bytes);
  for (std::uint8_t& byte : bytes) byte = table[byte];
  __builtin_memcpy(&indices, bytes, sizeof bytes);
  return indices;
}

/// Rounds to the nearest integers, ties to even. |value| must be below 2^31.
template <class Arch>
  requires(!Avx2Vectors<Arch>)
IntVec<Arch> round(Vec<Arch> value) noexcept {
  float from[kWidth<Arch>];
  value.store_unaligned(from);
  std::int32_t to[kWidth<Arch>];
  for (std::size_t i = 0; i < kWidth<Arch>; ++i) {
    to[i] = static_cast<std::int32_t>(__builtin_nearbyintf(from[i]));
  }
  return IntVec<Arch>::load_unaligned(to);
}

/// Stores kWidth integers of -128 .. 127 as bytes.
template <class Arch>
  requires(!Avx2Vectors<Arch>)
void store_bytes(std::int8_t* to, IntVec<Arch> value) noexcept {
  std::int32_t from[kWidth<Arch>];
  value.store_unaligned(from);
  for (std::size_t i = 0; i < kWidth<Arch>; ++i) to[i] = static_cast<std::int8_t>(from[i]);
}

/// Sum of the lanes.
template <class Arch>
std::int32_t sum(IntVec<Arch> value) noexcept {
  std::int32_t lanes[kWidth<Arch>];
  value.store_unaligned(lanes);
  std::int32_t total = 0;
  for (const std::int32_t lane : lanes) total += lane;
  return total;
}

/// Exact sums over words of four bytes, one sum a lane: of (w - kZero) * x for unsigned bytes w <= kLargest
/// and signed bytes x >= -127. kWords words are added, the j-th of them by add(j, ..), j being a constant to
/// the compiler. The constructor takes the sum of all bytes x to come: where the instruction wants unsigned
/// weights, kZero comes off there.
template <class Arch, int kZero, int kLargest, std::size_t kWords>
class ByteDot {
 public:
  ByteDot() = default;
  explicit ByteDot(std::int32_t) noexcept : sums_(broadcast_int<Arch>(0)) {}

  void add(std::size_t, Words<Arch> w, Words<Arch> x) noexcept {
    std::uint8_t wb[4 * kWidth<Arch>];
    std::int8_t xb[4 * kWidth<Arch>];
    std::int32_t totals[kWidth<Arch>];
    __builtin_memcpy(wb, &w, sizeof wb);
    __builtin_memcpy(xb, &x, sizeof xb);
    sums_.store_unaligned(totals);
    for (std::size_t i = 0; i < 4 * kWidth<Arch>; ++i) totals[i / 4] += (wb[i] - kZero) * xb[i];
    sums_ = IntVec<Arch>::load_unaligned(totals);
  }

  IntVec<Arch> sums() const noexcept { return sums_; }

 private:
  IntVec<Arch> sums_;
};

/// sums[i] += the products of the two bf16 of word i, added up. Only where VDPBF16PS is.
template <class Arch>
struct PairDot;

#if defined(__x86_64__)
template <int kZero, int kLargest, std::size_t kWords>
class ByteDot<Baseline, kZero, kLargest, kWords> {
 public:
  ByteDot() = default;
  explicit ByteDot(std::int32_t sum_x) noexcept : sums_(broadcast_int<Baseline>(-kZero * sum_x)) {}

  void add(std::size_t, Words<Baseline> w, Words<Baseline> x) noexcept {
    const __m128i zero = _mm_setzero_si128();
    // Sixteen bits each: two rows in the lower half, two in the upper one.
    const __m128i low = _mm_madd_epi16(_mm_unpacklo_epi8(w, zero),
                                       _mm_srai_epi16(_mm_unpacklo_epi8(x, x), 8));
    const __m128i high = _mm_madd_epi16(_mm_unpackhi_epi8(w, zero),
                                        _mm_srai_epi16(_mm_unpackhi_epi8(x, x), 8));
    const __m128 l = _mm_castsi128_ps(low), h = _mm_castsi128_ps(high);
    const __m128i even = _mm_castps_si128(_mm_shuffle_ps(l, h, 0x88));
    const __m128i odd = _mm_castps_si128(_mm_shuffle_ps(l, h, 0xdd));
    sums_ = _mm_add_epi32(sums_, _mm_add_epi32(even, odd));
  }

  IntVec<Baseline> sums() const noexcept { return sums_; }

 private:
  IntVec<Baseline> sums_;
};

template <>
inline IntVec<Baseline> round<Baseline>(Vec<Baseline> value) noexcept {
  return _mm_cvtps_epi32(value);
}
template <>
inline void store_bytes<Baseline>(std::int8_t* to, IntVec<Baseline> value) noexcept {
  const __m128i words = _mm_packs_epi32(value, value);
  const std::int32_t bytes = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
  __builtin_memcpy(to, &bytes, sizeof bytes);
}
#endif

#if XSIMD_WITH_FMA3_AVX2
/// VPMADDUBSW makes sums of two products in 16 bits; as many of them as fit are added up before VPMADDWD
/// widens them.
template <int kZero, int kLargest, std::size_t kWords>
class ByteDot<Avx2, kZero, kLargest, kWords> {
 public:
  ByteDot() = default;
  explicit ByteDot(std::int32_t sum_x) noexcept : sums_(_mm256_setzero_si256()) {
    if constexpr (!kSigned && kZero != 0) {
      const __m256i sum = broadcast_int<Avx2>(sum_x);
      sums_ = _mm256_sub_epi32(sums_, _mm256_slli_epi32(sum, std::countr_zero(unsigned{kZero})));
    }
  }

  void add(std::size_t j, Words<Avx2> w, Words<Avx2> x) noexcept {
    const __m256i pairs = multiply(w, x);
    run_ = kept(j % kRun == 0 ? pairs : _mm256_add_epi16(run_, pairs));
    if (j % kRun == kRun - 1) {
      sums_ = kept(_mm256_add_epi32(sums_, _mm256_madd_epi16(run_, _mm256_set1_epi16(1))));
    }
  }

  IntVec<Avx2> sums() const noexcept { return sums_; }

 private:
  /// Sums of two products that fit into 16 bits together.
  static constexpr std::size_t kPairs = 32767 / (2 * 127 * kLargest);
  static constexpr bool kSigned = kPairs == 0;  // unsigned bytes would overflow
  static constexpr std::size_t kRun = std::min(kWords, std::bit_floor(kPairs | 1));
  static_assert(!kSigned || kZero == 128);

  /// Has the compiler add one product after the other. It would rather multiply first and add up in another
  /// order, with more products than there are registers.
  static __m256i kept(__m256i sums) noexcept {
    __asm__ volatile("" : "+x"(sums));
    return sums;
  }

  static __m256i multiply(__m256i w, __m256i x) noexcept {
    if constexpr (!kSigned) return _mm256_maddubs_epi16(w, x);
    const __m256i value = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
    return _mm256_maddubs_epi16(_mm256_abs_epi8(value), _mm256_sign_epi8(x, value));
  }

  __m256i sums_, run_;
};

#if defined(__AVXVNNI__)
/// VPDPBUSD in its VEX encoding.
template <int kZero, int kLargest, std::size_t kWords>
class ByteDot<Avx2Vnni, kZero, kLargest, kWords> {
 public:
  ByteDot() = default;
  explicit ByteDot(std::int32_t sum_x) noexcept : sums_(broadcast_int<Avx2Vnni>(-kZero * sum_x)) {}

  void add(std::size_t, Words<Avx2Vnni> w, Words<Avx2Vnni> x) noexcept {
    sums_ = _mm256_dpbusd_avx_epi32(sums_, w, x);
  }

  IntVec<Avx2Vnni> sums() const noexcept { return sums_; }

 private:
  IntVec<Avx2Vnni> sums_;
};
#endif

template <Avx2Vectors Arch>
Words<Arch> lookup(const std::array<std::uint8_t, 16>& table, Words<Arch> indices) noexcept {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&table));
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(half), indices);
}
template <Avx2Vectors Arch>
Words<Arch> add_bytes(Words<Arch> a, Words<Arch> b) noexcept {
  return _mm256_add_epi8(a, b);
}
template <Avx2Vectors Arch>
Words<Arch> times_3_over_256(Words<Arch> bytes) noexcept {
  const __m256i one = _mm256_set1_epi8(1);
  const auto is_above = [&](int limit) {
    return _mm256_min_epu8(_mm256_subs_epu8(bytes, _mm256_set1_epi8(static_cast<char>(limit))), one);
  };
  return _mm256_add_epi8(is_above(85), is_above(170));
}
template <Avx2Vectors Arch>
IntVec<Arch> round(Vec<Arch> value) noexcept {
  return _mm256_cvtps_epi32(value);
}
template <Avx2Vectors Arch>
void store_bytes(std::int8_t* to, IntVec<Arch> value) noexcept {
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(value),
                                        _mm256_extracti128_si256(value, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
}
#endif

#if XSIMD_WITH_AVX512BW && defined(__AVX512BF16__)
/// VPDPBUSD.
template <int kZero, int kLargest, std::size_t kWords>
class ByteDot<Avx512, kZero, kLargest, kWords> {
 public:
  ByteDot() = default;
  explicit ByteDot(std::int32_t sum_x) noexcept : sums_(broadcast_int<Avx512>(-kZero * sum_x)) {}

  void add(std::size_t, Words<Avx512> w, Words<Avx512> x) noexcept {
    sums_ = _mm512_dpbusd_epi32(sums_, w, x);
  }

  IntVec<Avx512> sums() const noexcept { return sums_; }

 private:
  IntVec<Avx512> sums_;
};

template <>
struct PairDot<Avx512> {
  static Vec<Avx512> step(Vec<Avx512> sums, Words<Avx512> w, Words<Avx512> x) noexcept {
    const __m512i weights = w, activations = x;
    return _mm512_dpbf16_ps(sums, std::bit_cast<__m512bh>(weights),
                            std::bit_cast<__m512bh>(activations));
  }
};

template <>
inline Words<Avx512> lookup<Avx512>(const std::array<std::uint8_t, 16>& table,
                                    Words<Avx512> indices) noexcept {
  const __m128i quarter = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&table));
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(quarter), indices);
}
template <>
inline IntVec<Avx512> round<Avx512>(Vec<Avx512> value) noexcept {
  return _mm512_cvtps_epi32(value);
}
template <>
inline void store_bytes<Avx512>(std::int8_t* to, IntVec<Avx512> value) noexcept {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtsepi32_epi8(value));
}
template <>
inline std::int32_t sum<Avx512>(IntVec<Avx512> value) noexcept {
  return _mm512_reduce_add_epi32(value);
}
#endif

}  // namespace mixtral::simd

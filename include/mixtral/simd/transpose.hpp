// Columns of words from rows that lie anywhere.
#pragma once

#include <cstddef>

#include "mixtral/simd/simd.hpp"

namespace mixtral::simd {

/// Rows that are transposed together.
inline constexpr std::size_t kTransposedRows = 8;

/// Words of 4 bytes: word u of row r goes to to + u * to_stride + 4 r, for kTransposedRows rows and the
/// first n <= 4 words of each. Reads four words of each row.
template <class Arch, std::size_t n>
__attribute__((always_inline)) inline void transpose_words(const std::byte* from, std::size_t stride,
                                                           std::byte* to,
                                                           std::size_t to_stride) noexcept {
#if defined(__AVX2__)
  // Rows r and r + 4 in the halves of a vector.
  __m256i rows[4];
#pragma GCC unroll 4
  for (std::size_t r = 0; r < 4; ++r) {
    const auto* low = reinterpret_cast<const __m128i*>(from + r * stride);
    const auto* high = reinterpret_cast<const __m128i*>(from + (r + 4) * stride);
    rows[r] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                      _mm_loadu_si128(high), 1);
  }
  const __m256i a = _mm256_unpacklo_epi32(rows[0], rows[1]), b = _mm256_unpackhi_epi32(rows[0], rows[1]);
  const __m256i c = _mm256_unpacklo_epi32(rows[2], rows[3]), d = _mm256_unpackhi_epi32(rows[2], rows[3]);
  const __m256i words[4] = {_mm256_unpacklo_epi64(a, c), _mm256_unpackhi_epi64(a, c),
                            _mm256_unpacklo_epi64(b, d), _mm256_unpackhi_epi64(b, d)};
#pragma GCC unroll 4
  for (std::size_t u = 0; u < n; ++u) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + u * to_stride), words[u]);
  }
#else
  for (std::size_t u = 0; u < n; ++u) {
    for (std::size_t r = 0; r < kTransposedRows; ++r) {
      __builtin_memcpy(to + u * to_stride + 4 * r, from + r * stride + 4 * u, 4);
    }
  }
#endif
}

}  // namespace mixtral::simd

// Packing the bits of codes, as several formats do.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mixtral::quant::detail {

/// The low nibbles of 2 * kHalf codes into kHalf bytes: code j into the low half of byte j, code
/// kHalf + j into the high half.
template <std::size_t kHalf>
void pack_nibbles(const std::uint8_t* codes, std::uint8_t* bytes) noexcept {
  for (std::size_t j = 0; j < kHalf; ++j) {
    bytes[j] = static_cast<std::uint8_t>((codes[j] & 15) | (codes[kHalf + j] & 15) << 4);
  }
}

template <std::size_t kHalf>
void unpack_nibbles(const std::uint8_t* bytes, std::uint8_t* codes) noexcept {
  for (std::size_t j = 0; j < kHalf; ++j) {
    codes[j] = bytes[j] & 15;
    codes[kHalf + j] = bytes[j] >> 4;
  }
}

/// Bit 4 of 32 codes into 4 bytes, from the lowest bit of the first one on.
inline void pack_fifth_bits(const std::uint8_t* codes, std::uint8_t* bytes) noexcept {
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = 0;
  for (std::size_t j = 0; j < 32; ++j) {
    bytes[j / 8] = static_cast<std::uint8_t>(bytes[j / 8] | (codes[j] >> 4) << (j % 8));
  }
}

/// Adds them to codes of four bits.
inline void unpack_fifth_bits(const std::uint8_t* bytes, std::uint8_t* codes) noexcept {
  for (std::size_t j = 0; j < 32; ++j) {
    codes[j] = static_cast<std::uint8_t>(codes[j] | (bytes[j / 8] >> (j % 8) & 1) << 4);
  }
}

/// One bit of each of 256 codes, bit `shift`, into 32 bytes: that of code 32j + l into bit j of byte l.
inline void pack_plane(const std::uint8_t* codes, int shift, std::uint8_t* bytes) noexcept {
  for (std::size_t l = 0; l < 32; ++l) {
    int byte = 0;
    for (std::size_t j = 0; j < 8; ++j) byte |= (codes[32 * j + l] >> shift & 1) << j;
    bytes[l] = static_cast<std::uint8_t>(byte);
  }
}

/// Adds it to codes without this bit.
inline void unpack_plane(const std::uint8_t* bytes, int shift, std::uint8_t* codes) noexcept {
  for (std::size_t j = 0; j < 8; ++j) {
    for (std::size_t l = 0; l < 32; ++l) {
      std::uint8_t& code = codes[32 * j + l];
      code = static_cast<std::uint8_t>(code | (bytes[l] >> j & 1) << shift);
    }
  }
}

/// Two bits of each of 256 codes, from bit `shift` on, into 64 bytes: those of code 128n + 32j + l
/// into the bits 2j and 2j + 1 of byte 32n + l.
inline void pack_pairs(const std::uint8_t* codes, int shift, std::uint8_t* bytes) noexcept {
  for (std::size_t n = 0; n < 2; ++n) {
    for (std::size_t l = 0; l < 32; ++l) {
      int byte = 0;
      for (std::size_t j = 0; j < 4; ++j) {
        byte |= (codes[128 * n + 32 * j + l] >> shift & 3) << (2 * j);
      }
      bytes[32 * n + l] = static_cast<std::uint8_t>(byte);
    }
  }
}

/// Adds them to codes without these bits.
inline void unpack_pairs(const std::uint8_t* bytes, int shift, std::uint8_t* codes) noexcept {
  for (std::size_t n = 0; n < 2; ++n) {
    for (std::size_t j = 0; j < 4; ++j) {
      for (std::size_t l = 0; l < 32; ++l) {
        std::uint8_t& code = codes[128 * n + 32 * j + l];
        code = static_cast<std::uint8_t>(code | (bytes[32 * n + l] >> (2 * j) & 3) << shift);
      }
    }
  }
}

}  // namespace mixtral::quant::detail

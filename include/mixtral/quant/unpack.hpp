// Reading a tile: what a format's `unpack` reads from and fills in.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "mixtral/quant/tile.hpp"
#include "mixtral/simd/int8.hpp"

namespace mixtral::quant {

/// What TileBlock fetches: nothing.
inline constexpr std::uintptr_t kNoPrefetch = 0;

/// One block of kWidth<Arch> consecutive rows of a tile.
template <class Arch, class F>
struct TileBlock {
  static constexpr std::size_t kBytes = bytes_of(F::kDType, F::kElements) * kTileRows;

  const std::byte* data;  ///< of the tile's block
  std::size_t row;        ///< first row
  std::uintptr_t ahead;   ///< bytes to what is fetched meanwhile, modulo 2^64; kNoPrefetch: nothing

  /// Unit `index` of a field of 4-byte units, one row per lane.
  simd::Words<Arch> words(std::size_t field, std::size_t index) const noexcept {
    return simd::load_words<Arch>(fetched(tile_offset<F>(field, index) + 4 * row));
  }
  /// Unit `index` of a field of 2-byte units, one row per lane.
  simd::Words<Arch> shorts(std::size_t field, std::size_t index) const noexcept {
    // Widening a bf16 moves its bits to the upper half of a word.
    const simd::Vec<Arch> upper = simd::load<Arch>(
        reinterpret_cast<const BF16*>(data + tile_offset<F>(field, index) + 2 * row));
    return std::bit_cast<simd::Words<Arch>>(upper) >> 16;
  }
  /// Unit `index` of a field of bytes, one row per lane.
  simd::Words<Arch> bytes(std::size_t field, std::size_t index) const noexcept {
    return simd::load_bytes<Arch>(data + tile_offset<F>(field, index) + row);
  }
  /// Unit `index` of a field of f16, widened.
  simd::Vec<Arch> halves(std::size_t field, std::size_t index) const noexcept {
    return simd::load<Arch>(
        reinterpret_cast<const F16*>(fetched(tile_offset<F>(field, index) + 2 * row)));
  }

 private:
  /// Where byte `offset` lies; the one that is `ahead` of it is fetched.
  const std::byte* fetched(std::size_t offset) const noexcept {
    // As a number: the address may lie behind the last tile, where no pointer may point.
    const auto address = reinterpret_cast<std::uintptr_t>(data + offset) + ahead;
    if (ahead != kNoPrefetch) __builtin_prefetch(reinterpret_cast<const void*>(address));
    return data + offset;
  }
};

/// The values of byte `index` of each word.
template <class Arch>
simd::Words<Arch> byte_of(simd::Words<Arch> word, std::size_t index) noexcept {
  if (index == 3) return word >> 24;
  return (word >> static_cast<int>(8 * index)) & simd::broadcast_word<Arch>(255);
}

/// What scales 32 consecutive elements of kWidth<Arch> rows, one row per lane: element k of a row is
/// scales[k / F::kScaleElements] * (byte(k) - F::kZero) - mins[k / F::kScaleElements], the last term where F::kHasMin.
template <class Arch>
struct Scales {
  simd::Vec<Arch> scales[2];
  simd::Vec<Arch> mins[2];
};

/// 32 consecutive elements of kWidth<Arch> rows, with their scales.
template <class Arch>
struct Unpacked : Scales<Arch> {
  simd::Words<Arch> quants[8];  ///< bytes 0..F::kLargest; word j holds the elements 4j .. 4j+3

  /// The elements [32 * group, 32 * group + 32) of a block.
  template <class F>
  __attribute__((always_inline)) void unpack(const TileBlock<Arch, F>& block, std::size_t group) noexcept {
    for (std::size_t j = 0; j < 8; ++j) quants[j] = F::template quants<Arch>(block, group, j);
    F::template unpack_scales<Arch>(block, group, *this);
  }
};

/// Word j of 32 elements whose nibbles are in the four words from `first` of a field: elements 0 .. 15 in the low
/// halves of the bytes, 16 .. 31 in the high ones.
template <class Arch, class F>
__attribute__((always_inline)) inline simd::Words<Arch> nibbles(const TileBlock<Arch, F>& block, std::size_t field,
                                                                std::size_t first, std::size_t j) noexcept {
  const simd::Words<Arch> word = block.words(field, first + j % 4);
  return j < 4 ? simd::low_nibbles<Arch>(word) : simd::high_nibbles<Arch>(word);
}

/// Bit 4 of the bytes of word j, where bit k of `bits` belongs to element k.
template <class Arch>
simd::Words<Arch> fifth_bits(simd::Words<Arch> bits, std::size_t j) noexcept {
  const simd::Words<Arch> shifted = j == 0 ? bits << 4 : bits >> static_cast<int>(4 * j - 4);
  const simd::Words<Arch> four = shifted & simd::broadcast_word<Arch>(0xf0);
  // Of the copy for byte i, bit i lands on the byte's bit 4.
  const simd::Words<Arch> two_copies = four | (four << 7);
  const simd::Words<Arch> copies = two_copies | (two_copies << 14);
  return copies & simd::broadcast_word<Arch>(0x10101010u);
}

}  // namespace mixtral::quant

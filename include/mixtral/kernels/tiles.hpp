// Passes over tiled weights and groups of tokens, which the products of tiles share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/table.hpp"
#include "mixtral/simd/simd.hpp"

namespace mixtral::kernels {

/// A stretch of the depth of some rows is unpacked once, then the tokens pass by and add to their sums, which
/// stay in the L1 cache. So a weight is unpacked once per kTiledTokens tokens: more than an expert gets of a prompt of
/// 512 where all rows of a tile pass by together. Where they do so in parts, that many activations would leave no room.
///
/// Every sum runs over the depth in a fixed order: no result depends on a token's neighbours.
template <class Arch>
inline constexpr std::size_t kTiledTokens = simd::kWidth<Arch> == 16 ? 192 : 96;

/// Vectors of rows that are unpacked together.
inline constexpr std::size_t kRowVectors = 2;

/// Rows that are unpacked together.
template <class Arch>
inline constexpr std::size_t kRowGroup = kRowVectors * simd::kWidth<Arch>;

namespace detail {

/// Some tokens' running sums for the rows of one tile.
template <class Arch>
struct TileSums {
  alignas(64) float values[kTiledTokens<Arch>][kTileRows];
};

/// The tokens of one pass and where their activations lie.
template <class Arch>
struct TokenGroup {
  std::uint32_t rows[kTiledTokens<Arch>];
  std::size_t size;
};

/// How many of `left` tokens come next, when they are shared evenly among blocks of at most `most`.
inline __attribute__((always_inline)) std::size_t even_block(std::size_t left, std::size_t most) noexcept {
  const std::size_t n_blocks = (left + most - 1) / most;
  return (left + n_blocks - 1) / n_blocks;
}

/// The fewest tokens that such a block has where `fewest` tokens or more are shared, with most > 1.
consteval std::size_t least_even_block(std::size_t fewest, std::size_t most) {
  std::size_t least = most - 1;  // of most * most tokens or more
  for (std::size_t n = fewest; n < most * most; ++n) least = std::min(least, n / ((n + most - 1) / most));
  return least;
}

/// The group of like size as the others that begins with token `first`: for a few tokens left over, weights would be
/// unpacked as for many.
template <class Arch>
__attribute__((always_inline)) inline TokenGroup<Arch> token_group(const GemmArgs& args,
                                                                   std::size_t first) noexcept {
  TokenGroup<Arch> group;
  group.size = even_block(args.n_tokens - first, kTiledTokens<Arch>);
  for (std::size_t t = 0; t < group.size; ++t) {
    group.rows[t] = args.activation_rows ? args.activation_rows[first + t]
                                         : static_cast<std::uint32_t>(first + t);
  }
  return group;
}

/// Runs tile(data, tokens, sums) for every tile and group of tokens, and stores the sums.
template <class Arch, class Tile>
__attribute__((always_inline)) inline void for_each_tile(const GemmArgs& args, Tile tile) noexcept {
  for (std::size_t row = 0; row < args.n_rows; row += kTileRows) {
    const std::byte* data = args.weights + row / kTileRows * args.weight_stride;
    const std::size_t left = args.n_rows - row;
    const std::size_t n_rows = left < kTileRows ? left : kTileRows;
    for (std::size_t first = 0, next = 0; first < args.n_tokens; first = next) {
      const TokenGroup<Arch> tokens = token_group<Arch>(args, first);
      next += tokens.size;
      TileSums<Arch> sums;
      __builtin_memset(&sums, 0, tokens.size * sizeof sums.values[0]);
      for (std::size_t t = 0; args.adds && t < tokens.size; ++t) {
        __builtin_memcpy(sums.values[t], args.out + (first + t) * args.out_stride + row,
                         n_rows * sizeof(float));
      }
      tile(data, tokens, sums);
      for (std::size_t t = 0; t < tokens.size; ++t) {
        __builtin_memcpy(args.out + (first + t) * args.out_stride + row, sums.values[t],
                         n_rows * sizeof(float));
      }
    }
  }
}

/// What will be wanted next, fetched in shares between the products: unpacking alone would ask for more lines at once
/// than can be on their way.
class NextWeights {
 public:
  __attribute__((always_inline)) NextWeights(std::uintptr_t begin, std::size_t bytes, std::size_t shares) noexcept
      : next_(begin), end_(begin + bytes), share_((bytes + shares - 1) / shares) {}

  __attribute__((always_inline)) void fetch_share() noexcept {
    for (const std::uintptr_t end = std::min(next_ + share_, end_); next_ < end; next_ += 64) {
      __builtin_prefetch(reinterpret_cast<const void*>(next_));
    }
  }

 private:
  // As numbers: the addresses may lie behind the last tile, where no pointer may point.
  std::uintptr_t next_, end_;
  std::size_t share_;
};

/// Runs run<n>(), for kLeast <= n <= kMost.
template <std::size_t kLeast, std::size_t kMost, class Run>
__attribute__((always_inline)) inline void with_constant(std::size_t n, Run run) noexcept {
  if constexpr (kLeast < kMost) {
    if (n < kMost) return with_constant<kLeast, kMost - 1>(n, run);
  }
  run.template operator()<kMost>();
}

/// Has kBytes from `address` on fetched, to a line at least.
template <std::size_t kBytes>
__attribute__((always_inline)) inline void prefetch(std::uintptr_t address) noexcept {
#pragma GCC unroll 16
  for (std::size_t byte = 0; byte < kBytes; byte += 64) {
    __builtin_prefetch(reinterpret_cast<const void*>(address + byte));
  }
}

/// Weights that lie ahead, fetched step by step of kBytes, but for a part of a line, and every step in kParts parts
/// between the products.
template <class Arch, std::size_t kBytes, std::size_t kParts>
class NextSteps {
 public:
  __attribute__((always_inline)) explicit NextSteps(std::uintptr_t begin) noexcept : next_(begin) {}

  /// Has part `part` of the step fetched; all are fetched in order.
  __attribute__((always_inline)) void fetch(std::size_t part) noexcept {
    if constexpr (simd::kWidth<Arch> == 16) {
      constexpr std::size_t kLines = kBytes / 64;
#pragma GCC unroll 32
      for (std::size_t line = part * kLines / kParts; line < (part + 1) * kLines / kParts; ++line) {
        __builtin_prefetch(reinterpret_cast<const void*>(next_ + 64 * line));
      }
      if (part + 1 == kParts) next_ += kBytes;
      // Or the compiler gathers the prefetches of many parts, which halves the speed.
      __asm__ volatile("");
    } else {
      prefetch<kBytes / kParts>(next_);
      next_ += kBytes / kParts;
    }
  }

 private:
  std::uintptr_t next_;  // as a number: the address may lie behind the last tile, where no pointer may point
};

}  // namespace detail
}  // namespace mixtral::kernels

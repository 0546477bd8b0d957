// Matrix product of row-major weights and activations, for one token as for many.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/kernels/table.hpp"
#include "mixtral/simd/dot.hpp"

namespace mixtral::kernels {

/// Depth that one pass covers: a register tile's weights and activations fit the L1 cache together
/// (4 KB a token), and a block of tokens fits L2.
template <class X>
inline constexpr std::size_t kDepthBlock = 4096 / sizeof(X);

/// Rows that one register tile computes together.
inline constexpr std::size_t kDotRows = 4;

/// Tokens that one register tile computes together: what the register file holds as sums, beside their activations and
/// a vector of weights.
template <class Arch>
inline constexpr std::size_t kTileTokens = simd::kWidth<Arch> == 16 ? 6 : 3;

namespace detail {

template <class T>
const T* at(const std::byte* base, std::size_t stride, std::size_t index) noexcept {
  return reinterpret_cast<const T*>(base + index * stride);
}

/// A stretch of the depth, and where the weights that are wanted after it lie.
struct DepthBlock {
  std::size_t begin;
  std::size_t size;
  std::size_t prefetch_offset;  // bytes from a weight of this block to its successor's
};

/// out[t, r] (+)= sum over k of weights[r, k] * activations[t, k], for R rows and T tokens.
/// Each sum runs over k alone in a fixed order, so no result depends on R, T or its neighbours.
template <class Arch, class W, class X, std::size_t R, std::size_t T, bool kPrefetch>
void dot_tile(const GemmArgs& args, std::size_t row, std::size_t token,
              const DepthBlock& block) noexcept {
  using D = simd::Dot<Arch, W, X>;
  const std::size_t depth = block.size;
  const W* w[R];
  const X* x[T];
  for (std::size_t r = 0; r < R; ++r) {
    w[r] = at<W>(args.weights, args.weight_stride, row + r) + block.begin;
  }
  for (std::size_t t = 0; t < T; ++t) {
    const std::size_t source = args.activation_rows ? args.activation_rows[token + t] : token + t;
    x[t] = at<X>(args.activations, args.activation_stride, source) + block.begin;
  }
  simd::Vec<Arch> sums[R][T];
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t t = 0; t < T; ++t) sums[r][t] = simd::broadcast<Arch>(0.0f);
  }
  std::size_t k = 0;
  for (; k + D::kStep <= depth; k += D::kStep) {
    typename D::Activations xv[T];
#pragma GCC unroll 8
    for (std::size_t t = 0; t < T; ++t) xv[t] = D::activations(x[t] + k);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < R; ++r) {
      if constexpr (kPrefetch) {
        // As a number: the address may lie behind the last row, where no pointer may point.
        const auto address = reinterpret_cast<std::uintptr_t>(w[r] + k) + block.prefetch_offset;
        __builtin_prefetch(reinterpret_cast<const void*>(address));
      }
      const typename D::Weights wv = D::weights(w[r] + k);
#pragma GCC unroll 8
      for (std::size_t t = 0; t < T; ++t) sums[r][t] = D::step(wv, xv[t], sums[r][t]);
    }
  }
  if (k < depth) {
    for (std::size_t r = 0; r < R; ++r) {
      W padded_w[D::kStep] = {};
      __builtin_memcpy(padded_w, w[r] + k, (depth - k) * sizeof(W));
      for (std::size_t t = 0; t < T; ++t) {
        X padded_x[D::kStep] = {};
        __builtin_memcpy(padded_x, x[t] + k, (depth - k) * sizeof(X));
        sums[r][t] = D::step(D::weights(padded_w), D::activations(padded_x), sums[r][t]);
      }
    }
  }
  for (std::size_t t = 0; t < T; ++t) {
    float totals[R];
    if constexpr (R == 4) {
      simd::sum_four<Arch>(sums[0][t], sums[1][t], sums[2][t], sums[3][t], totals);
    } else {
      for (std::size_t r = 0; r < R; ++r) totals[r] = simd::sum<Arch>(sums[r][t]);
    }
    float* out = args.out + (token + t) * args.out_stride + row;
    for (std::size_t r = 0; r < R; ++r) {
      out[r] = block.begin == 0 ? totals[r] : out[r] + totals[r];
    }
  }
}

/// Rows [row, row_end) past T tokens, whose activations stay in the L1 cache meanwhile.
template <class Arch, class W, class X, std::size_t T, bool kPrefetch>
void dot_rows(const GemmArgs& args, std::size_t row, std::size_t row_end, std::size_t token,
              const DepthBlock& block) noexcept {
  for (; row + kDotRows <= row_end; row += kDotRows) {
    dot_tile<Arch, W, X, kDotRows, T, kPrefetch>(args, row, token, block);
  }
  for (; row < row_end; ++row) dot_tile<Arch, W, X, 1, T, kPrefetch>(args, row, token, block);
}

/// dot_rows for `n_tokens` <= T tokens.
template <class Arch, class W, class X, std::size_t T>
void dot_group(const GemmArgs& args, std::size_t row, std::size_t row_end, std::size_t token,
               std::size_t n_tokens, const DepthBlock& block) noexcept {
  if constexpr (T > 1) {
    if (n_tokens < T) {
      return dot_group<Arch, W, X, T - 1>(args, row, row_end, token, n_tokens, block);
    }
  }
  // The first tokens pull the weights in from memory; the others find them in the L2 cache.
  if (token == 0) {
    dot_rows<Arch, W, X, T, true>(args, row, row_end, token, block);
  } else {
    dot_rows<Arch, W, X, T, false>(args, row, row_end, token, block);
  }
}

}  // namespace detail

/// out[t, r] = sum over k of weights[r, k] * activations[t, k]: f32 sums in an order that depends
/// on depth alone, so that one token alone and the same token among many give the same bits.
///
/// Few tokens: a few rows are read from end to end before the next ones, the order in which they lie
/// in memory. Many tokens: a block of the depth of all rows, which stays in the L2 cache, meets one
/// group of tokens after the other.
template <class Arch, class W, class X>
void gemm(const GemmArgs& args) noexcept {
  constexpr std::size_t kBlock = kDepthBlock<X>;
  constexpr std::size_t kTokens = kTileTokens<Arch>;
  const std::size_t n_groups = (args.n_tokens + kTokens - 1) / kTokens;
  const bool by_rows = n_groups == 1;
  const std::size_t n_rows = by_rows ? kDotRows : args.n_rows;
  for (std::size_t row = 0; row < args.n_rows; row += n_rows) {
    const std::size_t row_end = args.n_rows - row < n_rows ? args.n_rows : row + n_rows;
    for (std::size_t k = 0; k < args.depth || k == 0; k += kBlock) {
      const bool last = args.depth - k <= kBlock;
      const std::size_t next_rows = kDotRows * args.weight_stride;
      const detail::DepthBlock block{
          .begin = k,
          .size = last ? args.depth - k : kBlock,
          .prefetch_offset = !by_rows ? next_rows
                             : last   ? next_rows - k * sizeof(W)
                                      : kBlock * sizeof(W),
      };
      std::size_t token = 0;
      for (std::size_t left = n_groups; left > 0; --left) {
        // Groups of like size: a last group of one or two tokens would leave the multipliers idle.
        const std::size_t n_tokens = (args.n_tokens - token + left - 1) / left;
        detail::dot_group<Arch, W, X, kTokens>(args, row, row_end, token, n_tokens, block);
        token += n_tokens;
      }
    }
  }
}

}  // namespace mixtral::kernels

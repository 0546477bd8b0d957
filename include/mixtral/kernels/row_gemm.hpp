// Matrix product of quantised weights in rows, as GGUF files have them, and activations.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mixtral/kernels/tiled_gemm_f32.hpp"
#include "mixtral/kernels/tiled_gemm_q8.hpp"
#include "mixtral/kernels/tiled_gemv_q8.hpp"
#include "mixtral/quant/gather.hpp"

namespace mixtral::kernels {
namespace detail {

/// Bytes of a tile of part of the depth that stay in the L1 cache beside what the product needs.
inline constexpr std::size_t kGatheredBytes = 16384;

/// Blocks of the depth that are gathered together; activations come in blocks of 64, so their elements are
/// a multiple of that.
template <class F>
inline constexpr std::size_t kGatheredBlocks = [] {
  constexpr std::size_t kUnit = F::kElements < 64 ? 64 / F::kElements : 1;
  constexpr std::size_t kFit = kGatheredBytes / (kTileRows * quant::kBlockBytes<F>);
  return kFit / kUnit * kUnit;
}();

/// `blocks` blocks of n_rows rows as the first of a tile.
template <class Arch, class F, std::size_t n_rows = kTileRows>
__attribute__((always_inline)) inline void gather(const std::byte* rows, std::size_t stride,
                                                  std::size_t blocks, std::byte* tile) noexcept {
  constexpr std::size_t kBlock = quant::kBlockBytes<F>;
  for (std::size_t block = 0; block < blocks; ++block) {
    quant::gather_block<Arch, F, n_rows>(rows + block * kBlock, stride, tile + block * kTileRows * kBlock);
  }
}

/// The same for the last rows of a matrix, `n_rows` < kTileRows; the tile's others are zero.
template <class Arch, class F>
void gather_some(const std::byte* rows, std::size_t stride, std::size_t n_rows, std::size_t blocks,
                 std::byte* tile) noexcept {
  __builtin_memset(tile, 0, blocks * kTileRows * quant::kBlockBytes<F>);
  for (std::size_t block = 0; block < blocks; ++block) {
    for (const quant::Field& field : F::kFields) {
      for (std::size_t unit = 0; unit < field.count; ++unit, tile += kTileRows * field.unit) {
        const std::byte* from = rows + block * quant::kBlockBytes<F> + field.offset + unit * field.unit;
        for (std::size_t row = 0; row < n_rows; ++row) {
          __builtin_memcpy(tile + row * field.unit, from + row * stride, field.unit);
        }
      }
    }
  }
}

/// Gathers a tile of part of the depth and multiplies it by tiled(args), which adds to `out`, one after the
/// other: the sums run in the order of a product of the whole tile. `activations_step(k)` is where the
/// activations from element k on lie, in bytes from the first.
template <class Arch, class F, class Tiled, class Step>
__attribute__((always_inline)) inline void row_gemm(const GemmArgs& args, Tiled tiled,
                                                    Step activations_step) noexcept {
  constexpr std::size_t kDepth = kGatheredBlocks<F> * F::kElements;
  alignas(64) std::byte tile[kGatheredBlocks<F> * kTileRows * quant::kBlockBytes<F>];
  GemmArgs part = args;
  part.weights = tile;
  for (std::size_t row = 0; row < args.n_rows; row += kTileRows) {
    const std::byte* rows = args.weights + row * args.weight_stride;
    const std::size_t left = args.n_rows - row;
    part.n_rows = left < kTileRows ? left : kTileRows;
    part.out = args.out + row;
    for (std::size_t k = 0; k < args.depth; k += kDepth) {
      part.depth = args.depth - k < kDepth ? args.depth - k : kDepth;
      const std::size_t blocks = part.depth / F::kElements;
      const std::byte* from = rows + k / F::kElements * quant::kBlockBytes<F>;
      if (part.n_rows == kTileRows) {
        gather<Arch, F>(from, args.weight_stride, blocks, tile);
      } else {
        gather_some<Arch, F>(from, args.weight_stride, part.n_rows, blocks, tile);
      }
      // What will be wanted when all of the depth is done, in the order in which it lies in memory.
      part.ahead = reinterpret_cast<std::uintptr_t>(rows) + kTileRows * args.weight_stride +
                   k / F::kElements * kTileRows * quant::kBlockBytes<F> -
                   reinterpret_cast<std::uintptr_t>(tile);
      part.activations = args.activations + activations_step(k);
      part.adds = k > 0;
      tiled(part);
    }
  }
}

/// row_gemm_q8 for one token. Some rows go side by side from end to end, so that few bytes are gathered at a time,
/// while the products before are still under way. The next rows are fetched meanwhile in the order in which they lie in
/// memory.
template <class Arch, class F>
__attribute__((flatten)) void row_gemv_q8(const GemmArgs& args) noexcept {
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  constexpr std::size_t kRows = std::max(kWidth, simd::kTransposedRows);
  constexpr std::size_t kBlocks = kStep<F> / F::kElements;
  constexpr std::size_t kBytes = kBlocks * quant::kBlockBytes<F>;
  const TokenBlocks x(args);
  alignas(64) std::byte tile[kStepBytes<Arch, F>];
  for (std::size_t row = 0; row < args.n_rows; row += kRows) {
    const std::byte* from = args.weights + row * args.weight_stride;
    const std::size_t n_rows = std::min(args.n_rows - row, kRows);
    NextSteps<Arch, kRows * kBytes, kFetches<Arch, F, kRows / kWidth>> next(
        reinterpret_cast<std::uintptr_t>(from) + kRows * args.weight_stride);
    const auto fetch = [&](std::size_t part) { next.fetch(part); };
    simd::Vec<Arch> sums[kRows / kWidth];
    for (simd::Vec<Arch>& sum : sums) sum = simd::broadcast<Arch>(0.0f);
    for (std::size_t k = 0; k < args.depth; k += kStep<F>) {
      const std::byte* step = from + k / kStep<F> * kBytes;
      const std::size_t blocks = std::min(kBlocks, (args.depth - k) / F::kElements);
      if (n_rows == kRows && blocks == kBlocks) {
        gather<Arch, F, kRows>(step, args.weight_stride, kBlocks, tile);
      } else {
        gather_some<Arch, F>(step, args.weight_stride, n_rows, blocks, tile);
      }
      if (blocks == kBlocks) {
        add_step<Arch, F>(tile, x, k / 64, fetch, sums);
      } else {
        add_half_step<Arch, F>(tile, x[k / 64], sums);
      }
    }
    alignas(64) float out[kRows];
    for (std::size_t v = 0; v < kRows / kWidth; ++v) simd::store<Arch>(out + v * kWidth, sums[v]);
    __builtin_memcpy(args.out + row, out, n_rows * sizeof(float));
  }
}

}  // namespace detail

/// Rows of blocks of format F and Q8Activations. args.weight_stride goes from row to row,
/// args.activation_stride from block to block. Gives what tiled_gemm_q8 gives for the same weights.
template <class Arch, class F>
void row_gemm_q8(const GemmArgs& args) noexcept {
  if (args.n_tokens == 1) return detail::row_gemv_q8<Arch, F>(args);
  detail::row_gemm<Arch, F>(args, &tiled_gemm_q8<Arch, F>, [&](std::size_t k) {
    return k / quant::Q8Activations::kElements * args.activation_stride;
  });
}

/// Rows of blocks of format F and activations in f32, likewise.
template <class Arch, class F>
void row_gemm_f32(const GemmArgs& args) noexcept {
  detail::row_gemm<Arch, F>(args, &tiled_gemm_f32<Arch, F>, [&](std::size_t k) {
    return k / quant::F32Activations::kElements * args.activation_block_stride;
  });
}

}  // namespace mixtral::kernels

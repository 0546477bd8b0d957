// The kernels of one instruction set, as a table of function pointers: the seam of run-time dispatch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "mixtral/core/dtype.hpp"
#include "mixtral/core/isa.hpp"
#include "mixtral/quant/activations.hpp"

namespace mixtral {

/// Bytes between a tiled weight that is in use and the one that is being fetched.
inline constexpr std::size_t kPrefetch = 8192;

/// out[t, r] = sum over k of weights[r, k] * activations[activation_rows[t], k].
struct GemmArgs {
  const std::byte* weights;       ///< [n_rows, depth]
  std::size_t weight_stride;      ///< bytes from row to row; of tiled weights, from tile to tile
  const std::byte* activations;   ///< [.., depth]
  std::size_t activation_stride;  ///< bytes from row to row; in blocks, from block to block of a row
  const std::uint32_t* activation_rows;  ///< [n_tokens] row of each token; null: 0, 1, 2, ...
  float* out;                    ///< [n_tokens, n_rows]
  std::size_t out_stride;        ///< elements from token to token
  std::size_t n_rows;
  std::size_t n_tokens;
  std::size_t depth;
  bool adds = false;  ///< to what `out` holds; the tiled products alone can
  /// Bytes from a weight to the one to fetch meanwhile, modulo 2^64; the tiled products take it, those of one token
  /// and 8 bits or bf16 excepted, which know what to fetch.
  std::uintptr_t ahead = kPrefetch;
  /// Bytes from 64 activations in f32 to the next ones of their row, for tiled weights and rows of blocks: other than
  /// in a row-major matrix where they are F32Activations.
  std::size_t activation_block_stride = sizeof(quant::F32Activations);
};

/// Running state of an online softmax over values: for each token and query head the largest score so
/// far, the sum of exp(score - max), and the values weighted likewise.
struct AttentionState {
  float* max;     ///< [n_tokens, group]; -inf before the first position
  float* sum;     ///< [n_tokens, group]
  float* values;  ///< [n_tokens, group, head_dim]
};

/// Positions whose softmax is computed as one unit, and which lie together in a cache. Units begin at its
/// multiples, so that the arithmetic of a position doesn't depend on how the work was shared out.
inline constexpr std::size_t kAttentionUnit = 256;

/// Attention of consecutive tokens of one sequence, for the query heads that share one kv head. A token
/// sees itself and the window - 1 positions before it.
struct AttendArgs {
  const float* query;        ///< [n_tokens, group, head_dim], already scaled by head_dim^-0.5
  /// Of position 0: units of tiles, each [head_dim, kTileRows]; in q8_0 [head_dim / 32] times the quants
  /// [32, kTileRows] and the scales [kTileRows].
  const std::byte* keys;
  const std::byte* values;   ///< of position 0: units of rows, each [head_dim]
  std::size_t unit_stride;   ///< bytes from a unit's keys to the next one's, and so for values
  std::size_t n_tokens;
  std::size_t group;
  std::size_t head_dim;
  std::size_t token_stride;  ///< elements from token to token in query and state.values
  std::size_t position;      ///< of the first token
  std::size_t window;        ///< >= 1; the largest value for none
  std::size_t begin;         ///< first position to take, of those that are seen
  std::size_t end;           ///< > begin
  float* packed;             ///< scratch [n_tokens, group, head_dim]
  AttentionState state;      ///< out: of these positions alone
  std::size_t state_stride;  ///< elements from a unit's state to the next one's; 0: all units join in one
};

/// Arrays are indexed by DType; those of three have its plain types only, those of kCacheDTypes.size() the types
/// of a cache. All functions are thread-safe and never fail.
struct KernelTable {
  using Gemm = void (*)(const GemmArgs&) noexcept;

  Isa isa;
  std::array<Gemm, 3> gemm_f32;  ///< weights of each DType, activations f32
  Gemm gemm_bf16;                ///< weights and activations bf16; null where there is no such dot

  /// Tiled weights of each DType with Q8Activations, Q16Activations and f32 activations, and tiled bf16 weights with
  /// BF16Activations. Null where there is no such product.
  std::array<Gemm, kDTypeCount> tiled_q8 = {};
  std::array<Gemm, kDTypeCount> tiled_q16 = {};
  std::array<Gemm, kDTypeCount> tiled_f32 = {};
  Gemm tiled_bf16 = nullptr;
  /// Likewise for rows of blocks; bit for bit the products of the same weights in tiles.
  std::array<Gemm, kDTypeCount> row_q8 = {};
  std::array<Gemm, kDTypeCount> row_q16 = {};
  std::array<Gemm, kDTypeCount> row_f32 = {};

  /// Rounds n values to blocks that lie `stride` bytes apart (quant/activations.hpp).
  using Blocks = void (*)(const float* values, std::size_t n, std::byte* out,
                          std::size_t stride) noexcept;
  Blocks to_q8_blocks = nullptr;
  Blocks to_q16_blocks = nullptr;
  Blocks to_bf16_blocks = nullptr;

  /// out[i] = gain[i] * x[i] / sqrt(mean(x^2) + eps). out may be x.
  void (*rms_norm)(const float* x, const float* gain, float eps, std::size_t n, float* out) noexcept;
  /// Rotates pairs (x[i], x[i + half]) by the angles whose cosines and sines are given, in place.
  void (*rope)(float* x, const float* cos, const float* sin, std::size_t half) noexcept;
  /// gate[i] = silu(gate[i]) * up[i], silu(t) = t / (1 + e^-t).
  void (*swiglu)(float* gate, const float* up, std::size_t n) noexcept;
  /// y[i] += scale * x[i].
  void (*add_scaled)(float scale, const float* x, std::size_t n, float* y) noexcept;
  /// x[i] *= scale.
  void (*multiply)(float scale, std::size_t n, float* x) noexcept;

  std::array<void (*)(const AttendArgs&) noexcept, kCacheDTypes.size()> attend;
  /// Combines the state of later positions into that of earlier ones.
  void (*merge)(const AttentionState& later, std::size_t group, std::size_t head_dim,
                const AttentionState& into) noexcept;

  /// Conversions between f32 and other types, n elements, rounding to nearest even.
  std::array<void (*)(const float* from, std::size_t n, std::byte* to) noexcept, kCacheDTypes.size()> narrow;
  std::array<void (*)(const std::byte* from, std::size_t n, float* to) noexcept, 3> widen;
};

/// The table for `isa`, which the machine must support (select_isa). Throws Error(unsupported) when
/// this build has no such table.
const KernelTable& kernel_table(Isa isa);

}  // namespace mixtral

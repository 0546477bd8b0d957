// Rows of weights between f32 and the storage types, and between rows and tiles.
//
// All functions are thread-safe and touch nothing but their arguments; rows, and tiles, can be
// shared out to threads. The results are the same on every machine. Memory needs no alignment.
#pragma once

#include <cstddef>
#include <span>

#include "mixtral/core/tensor.hpp"

namespace mixtral::quant {

/// Rounds `values`, a whole number of blocks of `dtype`, and writes bytes_of(dtype, values.size())
/// bytes. Plain types round to the nearest, ties to even; f16 overflows to infinity.
///
/// q8_0, q4_0, q4_1, q5_0, q5_1, mxfp4, nvfp4, tq1_0 and tq2_0 give the bytes of ggml's reference quantisers,
/// the other types choose scales by least squares. What is larger than a block's scale in f16 allows becomes
/// the largest value that the block can hold. A NaN or an infinity makes its whole block NaN; in
/// mxfp4 infinite, and in nvfp4, which has neither, the largest value.
void quantise(DType dtype, std::span<const float> values, std::byte* out) noexcept;

/// Widens `values.size()` weights, a whole number of blocks of `dtype`, from the bytes of their
/// blocks.
void dequantise(DType dtype, const std::byte* blocks, std::span<float> values) noexcept;

/// Whether tile_rows can take rows of `cols` weights: whole blocks of a quantised type, or pairs of
/// bf16.
bool can_tile(DType dtype, std::size_t cols) noexcept;

/// Puts `n_rows` consecutive rows of `cols` weights into tiles (Layout::tiled): writes as many
/// bytes as whole tiles have. The rows that the last tile lacks are zero. Precondition:
/// can_tile(dtype, cols).
void tile_rows(DType dtype, const std::byte* rows, std::size_t n_rows, std::size_t cols,
               std::byte* tiles) noexcept;

/// The inverse: writes the `n_rows` rows that the tiles hold.
void untile_rows(DType dtype, const std::byte* tiles, std::size_t n_rows, std::size_t cols,
                 std::byte* rows) noexcept;

}  // namespace mixtral::quant

// Matrices of 8-bit floating-point numbers (E4M3) with a scale for each block.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/core/dtype.hpp"
#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

/// 1 sign, 4 exponent and 3 mantissa bits, bias 7; no infinity; all ones are NaN.
float e4m3_to_float(std::uint8_t bits) noexcept;

struct Fp8Matrix {
  std::size_t rows, cols;
  const std::byte* codes;              ///< [rows, cols]
  const std::byte* scales;             ///< [blocks of rows, blocks of columns], at any alignment
  DType scale_type;                    ///< a plain type
  std::size_t block_rows, block_cols;  ///< of weights that share a scale
  std::size_t first_row = 0;           ///< where row 0 lies in the rows that the scales are for

  static constexpr DType kDType = DType::bf16;  ///< once decoded
};

/// The matrix in rows of kDType. Throws Error(out_of_memory).
LoadedTensor decode(const Fp8Matrix& matrix);

}  // namespace mixtral::detail

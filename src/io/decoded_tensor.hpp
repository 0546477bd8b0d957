// Memory for tensors that aren't stored as they are used.
#pragma once

#include <cstddef>

#include "mixtral/core/tensor.hpp"
#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

struct DecodedTensor {
  LoadedTensor tensor;
  std::byte* bytes;  ///< of the tensor, to be written
};

/// Room for all of `view`, whose own data doesn't count. Throws Error(out_of_memory).
DecodedTensor make_decoded(WeightView view);

/// A matrix whose elements lie apart.
struct StridedMatrix {
  const std::byte* data;  ///< at any alignment
  DType dtype;            ///< a plain type
  std::size_t rows, cols;
  std::size_t row_stride, col_stride;  ///< in elements
};

/// Copies the matrix to rows without gaps. Throws Error(out_of_memory).
LoadedTensor gather(const StridedMatrix& matrix);

}  // namespace mixtral::detail

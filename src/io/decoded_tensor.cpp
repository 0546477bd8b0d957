#include "io/decoded_tensor.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

/// Copies blocks, so that what lies column by column is read from lines that stay in the cache.
template <class Element>
void gather_elements(const StridedMatrix& matrix, std::byte* out) {
  constexpr std::size_t kBlock = 64;
  for (std::size_t first_row = 0; first_row < matrix.rows; first_row += kBlock) {
    const std::size_t end_row = std::min(first_row + kBlock, matrix.rows);
    for (std::size_t first = 0; first < matrix.cols; first += kBlock) {
      const std::size_t end = std::min(first + kBlock, matrix.cols);
      for (std::size_t row = first_row; row < end_row; ++row) {
        for (std::size_t col = first; col < end; ++col) {
          const std::size_t from = row * matrix.row_stride + col * matrix.col_stride;
          std::memcpy(out + (row * matrix.cols + col) * sizeof(Element),
                      matrix.data + from * sizeof(Element), sizeof(Element));
        }
      }
    }
  }
}

}  // namespace

DecodedTensor make_decoded(WeightView view) {
  try {
    const auto buffer = std::make_shared<AlignedBuffer<std::byte>>(view.bytes());
    view.data = buffer->data();
    return {{view, buffer}, buffer->data()};
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory, "no memory for a tensor of " + std::to_string(view.bytes()) +
                                              " bytes, which isn't stored as it is used");
  }
}

LoadedTensor gather(const StridedMatrix& matrix) {
  DecodedTensor decoded = make_decoded({nullptr, matrix.dtype, matrix.rows, matrix.cols});
  if (size_of(matrix.dtype) == sizeof(std::uint16_t)) {
    gather_elements<std::uint16_t>(matrix, decoded.bytes);
  } else {
    gather_elements<std::uint32_t>(matrix, decoded.bytes);
  }
  return decoded.tensor;
}

}  // namespace mixtral::detail

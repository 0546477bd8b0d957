// Matrices of integers of a few bits in 32-bit words, with scales and zeros for groups of inputs: what AWQ and
// GPTQ store.
#pragma once

#include <cstddef>
#include <string>

#include "mixtral/core/dtype.hpp"
#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

/// [outputs, inputs] = (code - zero) * scale. The pointers have no alignment.
struct PackedMatrix {
  enum class Order {
    awq,   ///< codes [inputs, outputs / 8]: words along the outputs, in AWQ's order; zeros likewise
    gptq,  ///< codes [inputs * bits / 32, outputs]: words along the inputs; zeros along the outputs
  };

  Order order;
  unsigned bits;
  std::size_t outputs, inputs, n_groups;
  std::size_t group_size;                  ///< of consecutive inputs
  unsigned zero_offset;                    ///< that is added to stored zeros
  const std::byte* codes;
  const std::byte* zeros;                  ///< [n_groups, outputs * bits / 32]
  const std::byte* scales;                 ///< [n_groups, outputs]
  DType scale_type;                        ///< a plain type
  const std::byte* group_index = nullptr;  ///< [inputs] group of each input; null: consecutive ones
  std::string where = {};                  ///< the beginning of messages

  /// Its type once decoded.
  DType dtype() const noexcept { return scale_type == DType::f16 ? DType::f16 : DType::f32; }
};

/// The matrix in rows of `dtype()`. Throws Error(format) when an input's group doesn't exist,
/// Error(out_of_memory).
LoadedTensor decode(const PackedMatrix& matrix);

}  // namespace mixtral::detail

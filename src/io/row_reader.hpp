// Rows of a checkpoint's tensors, whatever layout and order they lie in.
#pragma once

#include <cstddef>

#include "mixtral/core/config.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

/// Reads a tensor row by row in its stored type. Immutable; safe to use from any number of threads.
class RowReader {
 public:
  /// Of the tensor `key` of `checkpoint`, whose bytes are `view`; queries and keys come in `order`.
  RowReader(const Checkpoint& checkpoint, const TensorKey& key, const WeightView& view,
            RotaryOrder order = RotaryOrder::half_split);

  const WeightView& view() const noexcept { return view_; }

  /// Rows [first, first + count), where they lie or copied to `scratch`, which has room for them. In tiles,
  /// `first` is the first row of one.
  const std::byte* read(std::size_t first, std::size_t count, std::byte* scratch) const;

 private:
  std::size_t place_of(std::size_t row) const noexcept;
  void read_from_tiles(std::size_t first, std::size_t count, std::byte* scratch) const;

  WeightView view_;
  std::size_t head_dim_ = 0;  // of heads whose rows come in another order than they lie in; else 0
  RotaryOrder order_;         // that they come in
};

}  // namespace mixtral::detail

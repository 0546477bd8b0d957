#include "io/row_reader.hpp"

#include <cstring>

#include "mixtral/quant/convert.hpp"

namespace mixtral::detail {

RowReader::RowReader(const Checkpoint& checkpoint, const TensorKey& key, const WeightView& view,
                     RotaryOrder order)
    : view_(view), order_(order) {
  const bool has_heads = key.role == TensorRole::query || key.role == TensorRole::key;
  if (has_heads && checkpoint.rotary_order() != order) head_dim_ = checkpoint.config().head_dim;
}

const std::byte* RowReader::read(std::size_t first, std::size_t count, std::byte* scratch) const {
  if (view_.layout == Layout::tiled) {  // native files, which have the order that is asked for
    quant::untile_rows(view_.dtype, view_.row(first), count, view_.cols, scratch);
    return scratch;
  }
  if (head_dim_ == 0) return view_.row(first);
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(scratch + i * view_.row_bytes(), view_.row(place_of(first + i)), view_.row_bytes());
  }
  return scratch;
}

std::size_t RowReader::place_of(std::size_t row) const noexcept {
  const std::size_t half = head_dim_ / 2;
  const std::size_t head = row / head_dim_ * head_dim_;
  const std::size_t i = row % head_dim_;
  return head + (order_ == RotaryOrder::half_split ? i % half * 2 + i / half
                                                    : i % 2 * half + i / 2);
}

}  // namespace mixtral::detail

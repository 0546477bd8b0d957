#include "io/row_reader.hpp"

#include <cstring>
#include <vector>

#include "mixtral/quant/convert.hpp"

namespace mixtral::detail {

RowReader::RowReader(const Checkpoint& checkpoint, const TensorKey& key, const WeightView& view,
                     RotaryOrder order)
    : view_(view), order_(order) {
  const bool has_heads = key.role == TensorRole::query || key.role == TensorRole::key;
  if (has_heads && checkpoint.rotary_order() != order) head_dim_ = checkpoint.config().head_dim;
}

const std::byte* RowReader::read(std::size_t first, std::size_t count, std::byte* scratch) const {
  if (view_.layout == Layout::tiled) {
    if (head_dim_ != 0) {
      read_from_tiles(first, count, scratch);
    } else {
      quant::untile_rows(view_.dtype, view_.row(first), count, view_.cols, scratch);
    }
    return scratch;
  }
  if (head_dim_ == 0) return view_.row(first);
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(scratch + i * view_.row_bytes(), view_.row(place_of(first + i)), view_.row_bytes());
  }
  return scratch;
}

/// Unpacks each tile that holds some of the rows once.
void RowReader::read_from_tiles(std::size_t first, std::size_t count, std::byte* scratch) const {
  const std::size_t row_bytes = view_.row_bytes();
  std::vector<std::byte> rows(kTileRows * row_bytes);
  std::vector<bool> is_read(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (is_read[i]) continue;
    const std::size_t tile = place_of(first + i) / kTileRows;
    quant::untile_rows(view_.dtype, view_.row(tile * kTileRows), kTileRows, view_.cols, rows.data());
    for (std::size_t j = i; j < count; ++j) {
      const std::size_t place = place_of(first + j);
      if (place / kTileRows != tile) continue;
      std::memcpy(scratch + j * row_bytes, &rows[place % kTileRows * row_bytes], row_bytes);
      is_read[j] = true;
    }
  }
}

std::size_t RowReader::place_of(std::size_t row) const noexcept {
  const std::size_t half = head_dim_ / 2;
  const std::size_t head = row / head_dim_ * head_dim_;
  const std::size_t i = row % head_dim_;
  return head + (order_ == RotaryOrder::half_split ? i % half * 2 + i / half
                                                    : i % 2 * half + i / 2);
}

}  // namespace mixtral::detail

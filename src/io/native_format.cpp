#include "io/native_format.hpp"

#include "core/checked.hpp"
#include "io/model_tensors.hpp"

namespace mixtral::detail {
namespace {

std::string_view name_of(Layout layout) noexcept {
  return layout == Layout::tiled ? "tiled" : "row_major";
}

/// Rows of the embedding are looked up one by one, and of the plain types only bf16 has kernels that
/// want tiles: of pairs of columns.
Layout layout_of(TensorRole role, DType dtype, std::size_t cols) noexcept {
  if (role == TensorRole::embedding) return Layout::row_major;
  const bool in_tiles = is_quantised(dtype) || (dtype == DType::bf16 && cols % 2 == 0);
  return in_tiles ? Layout::tiled : Layout::row_major;
}

}  // namespace

bool is_always_f32(TensorRole role) noexcept {
  return is_norm(role) || role == TensorRole::router;
}

WeightView native_view(TensorRole role, DType dtype, const Config& config) noexcept {
  const MatrixShape shape = shape_of(role, config);
  return {nullptr, dtype, shape.rows, shape.cols, layout_of(role, dtype, shape.cols)};
}

std::string describe(const WeightView& view) {
  std::string text(name_of(view.dtype));
  text += " " + std::to_string(view.rows) + "x" + std::to_string(view.cols) + " ";
  return text += name_of(view.layout);
}

std::optional<std::size_t> native_bytes(const WeightView& view) noexcept {
  const std::size_t unit = view.layout == Layout::tiled ? kTileRows : 1;
  const std::size_t units = view.rows / unit + (view.rows % unit != 0 ? 1 : 0);
  const auto bytes = checked_product({units, unit, view.row_bytes()});
  std::size_t padded = 0;
  if (!bytes || __builtin_add_overflow(*bytes, kNativeAlignment - 1, &padded)) return std::nullopt;
  return padded - padded % kNativeAlignment;
}

}  // namespace mixtral::detail

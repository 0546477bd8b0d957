#include "io/tensor_table.hpp"

#include <optional>
#include <string_view>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

std::string where(const SafetensorsFile& file, const std::string& tensor) {
  return quote(file.file().path()) + ": tensor " + quote(tensor) + ": ";
}

/// RoPE frequencies, which old exporters stored although the config states them.
bool is_harmless(std::string_view name) { return name.ends_with(".rotary_emb.inv_freq"); }

}  // namespace

void TensorTable::add(const SafetensorsFile& file) {
  for (const SafetensorsEntry& entry : file.header().tensors) {
    const auto [other, is_new] = tensors_.emplace(entry.name, Item{&file, &entry});
    if (!is_new) {
      throw Error(ErrorCode::format, where(file, entry.name) + "it is also in " +
                                         quote(other->second.file->file().path()));
    }
  }
}

WeightView TensorTable::take(const std::string& name, const std::vector<std::size_t>& shape) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw Error(ErrorCode::format,
                "tensor " + quote(name) + " of shape " + shape_text(shape) + " is missing");
  }
  Item& item = found->second;
  if (item.entry->shape != shape) {
    throw Error(ErrorCode::format, where(*item.file, name) + "expected shape " +
                                       shape_text(shape) + ", found " +
                                       shape_text(item.entry->shape));
  }
  const std::optional<DType> dtype = to_dtype(item.entry->dtype);
  if (!dtype) {
    throw Error(ErrorCode::unsupported, where(*item.file, name) +
                                            "expected dtype F32, F16 or BF16, found " +
                                            std::string(item.entry->dtype));
  }
  item.used = true;
  const std::size_t row_bytes = shape.back() * size_of(*dtype);
  return {item.file->data(*item.entry).data(), *dtype, item.entry->bytes / row_bytes, shape.back()};
}

void TensorTable::tolerate(const std::string& name) {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) found->second.used = true;
}

void TensorTable::check_all_used() const {
  for (const auto& [name, item] : tensors_) {
    if (!item.used && !is_harmless(name)) {
      throw Error(ErrorCode::format, where(*item.file, name) + "it has no place in this model");
    }
  }
}

}  // namespace mixtral::detail

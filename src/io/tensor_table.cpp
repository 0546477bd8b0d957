#include "io/tensor_table.hpp"

#include <string_view>
#include <utility>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

/// RoPE frequencies, which old exporters stored although the config states them.
bool is_harmless(std::string_view name) { return name.ends_with(".rotary_emb.inv_freq"); }

}  // namespace

void TensorTable::add(std::vector<FileTensor> tensors) {
  for (FileTensor& tensor : tensors) {
    const auto other = tensors_.find(tensor.name);
    if (other != tensors_.end()) {
      throw Error(ErrorCode::format,
                  where(tensor) + "it is also in " + quote(other->second.tensor.file->path()));
    }
    std::string name = tensor.name;
    tensors_.emplace(std::move(name), Item{std::move(tensor)});
  }
}

const std::vector<std::size_t>* TensorTable::shape_of(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second.tensor.shape;
}

const FileTensor& TensorTable::take(const std::string& name, const std::vector<std::size_t>& shape) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw Error(ErrorCode::format,
                "tensor " + quote(name) + " of shape " + shape_text(shape) + " is missing");
  }
  auto& [tensor, used] = found->second;
  if (tensor.shape != shape) {
    throw Error(ErrorCode::format, where(tensor) + "expected shape " + shape_text(shape) +
                                       ", found " + shape_text(tensor.shape));
  }
  used = true;
  return tensor;
}

void TensorTable::tolerate(const std::string& name) {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) found->second.used = true;
}

void TensorTable::check_all_used() const {
  for (const auto& [name, item] : tensors_) {
    if (!item.used && !is_harmless(name)) {
      throw Error(ErrorCode::format, where(item.tensor) + "it has no place in this model");
    }
  }
}

}  // namespace mixtral::detail

#include "io/file_tensor.hpp"

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {

std::string where(const FileTensor& tensor) {
  return quote(tensor.file->path()) + ": tensor " + quote(tensor.name) + ": ";
}

WeightView as_weight(const FileTensor& tensor) {
  if (!tensor.dtype) {
    throw Error(ErrorCode::unsupported,
                where(tensor) + "expected dtype F32, F16 or BF16, found " + tensor.type);
  }
  const std::size_t cols = tensor.shape.back();
  return {tensor.bytes.data(), *tensor.dtype, tensor.bytes.size() / bytes_of(*tensor.dtype, cols), cols};
}

std::vector<FileTensor> list_tensors(const SafetensorsFile& file) {
  std::vector<FileTensor> tensors;
  for (const SafetensorsEntry& entry : file.header().tensors) {
    tensors.push_back({entry.name, std::string(entry.dtype), to_dtype(entry.dtype), entry.shape,
                       file.data(entry), &file.file()});
  }
  return tensors;
}

}  // namespace mixtral::detail

// A tensor of a file as the file's format lists it: what every reader of a format hands on.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mixtral/core/dtype.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/io/mapped_file.hpp"
#include "mixtral/io/safetensors.hpp"

namespace mixtral::detail {

struct FileTensor {
  std::string name;
  std::string type;                  ///< as the format calls it
  std::optional<DType> dtype;        ///< unset when it isn't a type of weights here
  std::vector<std::size_t> shape;    ///< outermost first
  std::span<const std::byte> bytes;  ///< from the first element to the last
  const MappedFile* file;            ///< that `bytes` lie in
  std::vector<std::size_t> strides = {};  ///< in elements; empty: row-major, without gaps
};

/// "file.safetensors": tensor "x": , as the beginning of a message.
std::string where(const FileTensor& tensor);

/// The tensor, which has no strides, as a matrix: its last dimension is the columns, the others the
/// rows. Throws Error(unsupported) when its elements are of no type of weights.
WeightView as_weight(const FileTensor& tensor);

/// The tensors of `file`, which must stay in place.
std::vector<FileTensor> list_tensors(const SafetensorsFile& file);

}  // namespace mixtral::detail

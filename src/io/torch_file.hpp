// Files of torch.save: a dictionary of tensors in a ZIP archive.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "io/file_tensor.hpp"
#include "mixtral/io/mapped_file.hpp"

namespace mixtral::detail {

/// The tensors of `file`, which must stay in place. Those that don't lie row by row in their storage have
/// strides. Nothing in the file is executed, and no weights are read. Throws Error(format) naming the
/// byte or the tensor at fault, Error(unsupported) for the format before torch 1.6 and for what is no
/// dictionary of tensors.
std::vector<FileTensor> list_torch_tensors(const MappedFile& file);

/// The same of a file's bytes; `name` stands for it in messages, and the tensors have no file.
std::vector<FileTensor> parse_torch_file(std::span<const std::byte> bytes, std::string_view name);

}  // namespace mixtral::detail

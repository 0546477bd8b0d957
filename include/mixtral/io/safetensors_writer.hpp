// Writes safetensors files in one pass, without holding the tensors in memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "mixtral/io/output_file.hpp"

namespace mixtral {

/// A tensor to be written.
struct SafetensorsDeclaration {
  std::string name;
  std::string dtype;  ///< a name of the format, such as "BF16"
  std::vector<std::size_t> shape;
};

/// Declare all tensors, append their bytes in that order, commit. The file appears under its name
/// only then. Tensors lie one after the other, so declare those of the widest dtype first if all are
/// to be aligned to their elements. One thread at a time.
class SafetensorsWriter {
 public:
  /// Writes the header; the data begins at a multiple of 64 bytes. Throws Error(invalid_argument)
  /// for an unknown dtype, a name given twice or sizes that overflow, Error(io) as OutputFile does.
  SafetensorsWriter(const std::filesystem::path& path,
                    const std::vector<SafetensorsDeclaration>& tensors,
                    const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

  /// The next bytes of the data: any number, across tensors too. Throws Error(invalid_argument) for
  /// more than was declared, Error(io) when they can't be written.
  void append(std::span<const std::byte> bytes);

  /// Throws Error(invalid_argument) when bytes are still missing, Error(io) as OutputFile does.
  void commit();

 private:
  OutputFile file_;
  std::size_t missing_bytes_ = 0;
};

}  // namespace mixtral

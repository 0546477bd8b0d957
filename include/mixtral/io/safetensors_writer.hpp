// Writes safetensors files in one pass, without holding the tensors in memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/io/output_file.hpp"

namespace mixtral {

/// A tensor to be written.
struct SafetensorsDeclaration {
  std::string name;
  std::string dtype;  ///< a name of the format, such as "BF16"
  std::vector<std::size_t> shape;
};

/// The header is padded so that tensor number `first` begins at a multiple of `bytes`.
struct SafetensorsAlignment {
  std::size_t bytes = 64;  ///< the format asks for 8; a cache line suits vector loads
  std::size_t first = 0;
};

/// Declare all tensors, append their bytes in that order, commit. The file appears under its name
/// only then. Tensors lie one after the other, so declare those of the widest dtype first if all are
/// to be aligned to their elements. One thread at a time.
class SafetensorsWriter {
 public:
  /// Writes the header. Throws Error(invalid_argument) for an unknown dtype, a name given twice or
  /// sizes that overflow, Error(io) as OutputFile does.
  SafetensorsWriter(const std::filesystem::path& path,
                    const std::vector<SafetensorsDeclaration>& tensors,
                    const std::map<std::string, std::string>& metadata = {{"format", "pt"}},
                    const SafetensorsAlignment& alignment = {});

  /// The bytes before the data.
  std::string_view header() const noexcept { return header_; }

  /// The next bytes of the data: any number, across tensors too. Throws Error(invalid_argument) for
  /// more than was declared, Error(io) when they can't be written.
  void append(std::span<const std::byte> bytes);

  /// Throws Error(invalid_argument) when bytes are still missing, Error(io) as OutputFile does.
  void commit();

 private:
  OutputFile file_;
  std::string header_;
  std::size_t missing_bytes_ = 0;
};

}  // namespace mixtral

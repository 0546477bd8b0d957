// The safetensors container: a JSON header that names tensors, then their bytes.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/core/dtype.hpp"
#include "mixtral/io/mapped_file.hpp"

namespace mixtral {

/// Where one tensor lies in a safetensors file: row-major, little-endian, no alignment guaranteed.
struct SafetensorsEntry {
  std::string name;
  std::string_view dtype;          ///< one of the format's names, such as "BF16"; static storage
  std::vector<std::size_t> shape;  ///< outermost first; empty for a scalar
  std::size_t offset = 0;          ///< of the first byte, from the start of the file
  std::size_t bytes = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> tensors;  ///< in the order of their bytes
  std::map<std::string, std::string> metadata;
};

/// Bytes of a tensor; nothing when the format has no such dtype, or the size overflows or is no whole
/// number of bytes.
std::optional<std::size_t> safetensors_bytes(std::string_view dtype,
                                             std::span<const std::size_t> shape) noexcept;

/// "F32", "F16" and "BF16" as element types of weights; nothing for the others.
std::optional<DType> to_dtype(std::string_view safetensors_dtype) noexcept;

/// "F32", "F16" or "BF16", of a plain type.
std::string_view safetensors_name_of(DType dtype) noexcept;

/// Reads and checks the header of a file of `file_size` bytes that begins with `bytes`; `name` stands
/// for the file in messages. `bytes` must reach at least to the end of the header. Afterwards the
/// tensors are known to fill the rest of the file, with no hole and no overlap.
/// Throws Error(format) naming the tensor at fault. Memory and time are linear in the header's size.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> bytes, std::size_t file_size,
                                           std::string_view name);

/// A mapped safetensors file whose header has been checked. Movable, immutable.
class SafetensorsFile {
 public:
  /// Throws Error as MappedFile and parse_safetensors_header do.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const MappedFile& file() const noexcept { return file_; }
  const SafetensorsHeader& header() const noexcept { return header_; }

  /// The bytes of one of this file's tensors, valid for the life of this object.
  std::span<const std::byte> data(const SafetensorsEntry& entry) const noexcept {
    return file_.bytes().subspan(entry.offset, entry.bytes);
  }

 private:
  MappedFile file_;
  SafetensorsHeader header_;
};

}  // namespace mixtral

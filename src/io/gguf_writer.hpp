// Writes GGUF files in one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf.hpp"
#include "mixtral/io/output_file.hpp"

namespace mixtral::detail {

/// Key-value pairs as bytes of the file.
class GgufMetadataWriter {
 public:
  void add(std::string_view key, std::uint32_t value);
  void add(std::string_view key, std::int32_t value);
  void add(std::string_view key, float value);
  void add(std::string_view key, bool value);
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, const char* value) { add(key, std::string_view(value)); }
  void add(std::string_view key, std::span<const std::string> values);
  void add(std::string_view key, std::span<const float> values);
  void add(std::string_view key, std::span<const std::int32_t> values);

  std::size_t count() const noexcept { return count_; }
  const std::string& bytes() const noexcept { return bytes_; }

 private:
  void begin(std::string_view key, GgufType type);
  void begin_array(std::string_view key, GgufType type, std::size_t count);

  std::size_t count_ = 0;
  std::string bytes_;
};

/// A tensor to be written.
struct GgufDeclaration {
  std::string name;
  DType type;
  std::vector<std::size_t> shape;  ///< outermost first
};

/// Append the tensors' bytes in their order, then commit: the file appears under its name only then. One thread
/// at a time.
class GgufWriter {
 public:
  /// Writes the header. Throws Error(io) when the disk has too little room for all, or can't be written.
  GgufWriter(const std::filesystem::path& path, const GgufMetadataWriter& metadata,
             const std::vector<GgufDeclaration>& tensors);

  /// The next bytes, of one tensor. Throws Error(io).
  void append(std::span<const std::byte> bytes);

  void commit() { file_.commit(); }

 private:
  std::vector<std::size_t> bytes_;  // of each tensor
  std::size_t tensor_ = 0;          // the one being written
  std::size_t written_ = 0;         // bytes of it
  OutputFile file_;
};

}  // namespace mixtral::detail

// A new file that appears under its name only when it is complete.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace mixtral {

/// Writes to a temporary name in the same directory; `commit` flushes it to the disk and renames it.
/// Without a commit nothing is left behind. One thread at a time.
class OutputFile {
 public:
  /// Throws Error(io) when the directory is missing or not writable.
  explicit OutputFile(std::filesystem::path path);
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

  /// Throws Error(io) when the bytes can't be written: disk full, quota, size limit.
  void append(std::span<const std::byte> bytes);
  void append(std::string_view text) { append(std::as_bytes(std::span(text))); }

  /// Replaces the file of that name, if there is one. Throws Error(io). To be called once, last.
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

}  // namespace mixtral

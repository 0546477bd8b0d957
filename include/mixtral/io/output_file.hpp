// A new file that appears under its name only when it is complete.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace mixtral {

/// Writes to a temporary name in the same directory; `commit` flushes it to the disk and renames it.
/// Without a commit nothing is left behind. One thread at a time.
///
/// Bytes go to the file in huge pages: as such Linux keeps what a file system with large folios is given in
/// whole ones, and maps it later, which reads 10 % faster than small pages.
class OutputFile {
 public:
  /// Throws Error(io) when the directory is missing or not writable.
  explicit OutputFile(std::filesystem::path path);
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

  /// Throws Error(io) when the bytes can't be written, if not here then at the next call: disk full, quota,
  /// size limit.
  void append(std::span<const std::byte> bytes);
  void append(std::string_view text) { append(std::as_bytes(std::span(text))); }

  /// Replaces the file of that name, if there is one. Throws Error(io). To be called once, last.
  void commit();

 private:
  void flush();
  void write(std::span<const std::byte> bytes);

  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
  std::vector<std::byte> pending_;  ///< less than a huge page
};

}  // namespace mixtral

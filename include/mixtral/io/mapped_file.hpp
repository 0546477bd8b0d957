// A file's bytes in the page cache.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace mixtral {

/// A regular file mapped for reading. Nothing is read or copied until the bytes are touched, and
/// the kernel may drop clean pages at any time. Movable; const members are safe from any thread.
class MappedFile {
 public:
  /// Throws Error(io) when the file is missing, unreadable, empty or not a regular file, and
  /// Error(out_of_memory) when there is no address space for it.
  explicit MappedFile(std::filesystem::path path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  const std::filesystem::path& path() const noexcept { return path_; }

  /// The whole file, page-aligned, valid for the life of this object (also after a move of it).
  /// Touching bytes that another process has cut off raises SIGBUS: see check_unchanged.
  std::span<const std::byte> bytes() const noexcept { return bytes_; }

  /// Throws Error(io) when the file has become shorter than its mapping. Costs one fstat.
  void check_unchanged() const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::span<const std::byte> bytes_;
};

/// The content of a small text file. Throws Error(io) as MappedFile does, and Error(format) when it
/// has more than `max_bytes`.
std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace mixtral

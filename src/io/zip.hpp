// ZIP archives of stored (not compressed) files, as torch.save writes them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mixtral::detail {

struct ZipEntry {
  std::string_view name;             ///< in the archive's bytes; any bytes: not to be used as a path
  std::size_t offset = 0;            ///< of the content from the start of the archive
  std::span<const std::byte> bytes;  ///< the content
};

/// True when `bytes` begin as an archive with at least one file does.
bool is_zip(std::span<const std::byte> bytes) noexcept;

/// The files of an archive, ZIP64 too, in the order of its central directory. Their names are unique
/// and their bytes don't overlap. `name` stands for the archive in messages.
/// Throws Error(format) for an archive whose records contradict each other or lie outside it, and
/// Error(unsupported) for compressed or encrypted files. Time n log n in the number of files, which the
/// archive's size bounds; checksums are not computed.
std::vector<ZipEntry> list_zip(std::span<const std::byte> archive, std::string_view name);

}  // namespace mixtral::detail

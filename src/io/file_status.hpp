// What the file system says about a path.
#pragma once

#include <cstddef>
#include <filesystem>

namespace mixtral::detail {

/// True when something of this name exists. Throws Error(io) when that can't be known.
bool is_there(const std::filesystem::path& path);

/// Throws Error(io) when the file system of `directory` is known to have fewer free bytes.
void check_disk_space(const std::filesystem::path& directory, std::size_t needed);

}  // namespace mixtral::detail

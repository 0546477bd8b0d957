// What of a file the system holds in memory.
#pragma once

#include <filesystem>

namespace mixtral::cli {

/// Asks the system to forget the content of `path` that it holds, and tells whether it holds none
/// any more. Throws Error(io).
bool drop_from_page_cache(const std::filesystem::path& path);

}  // namespace mixtral::cli

// Pieces of error messages.
#pragma once

#include <concepts>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace mixtral::detail {

/// `text` between double quotes: control characters and bytes that aren't valid UTF-8 become \xNN,
/// and a long text is cut to about 200 bytes.
std::string quote(std::string_view text);

template <std::same_as<std::filesystem::path> Path>  // not what merely converts to one
std::string quote(const Path& path) {
  return quote(std::string_view(path.native()));
}

/// "[32000, 4096]"; cut after a few dimensions.
std::string shape_text(std::span<const std::size_t> shape);

}  // namespace mixtral::detail

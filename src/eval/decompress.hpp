// The compressions of Parquet's pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace mixtral::eval {

/// Parquet's numbers.
enum class Codec : std::int32_t { none = 0, snappy = 1, gzip = 2, zstd = 6 };

/// The content of `bytes`. Throws Error(format), which begins with `name`, unless it has exactly
/// `size` bytes, and Error(unsupported) for another codec.
std::vector<std::byte> decompress(Codec codec, std::span<const std::byte> bytes, std::size_t size,
                                  std::string_view name);

}  // namespace mixtral::eval

// Parquet's hybrid of run lengths and bit packing, for small whole numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace mixtral::eval {

/// The first `count` numbers of `bit_width` bits (0 .. 32) in `bytes`. Throws Error(format), which
/// begins with `name`, when there are fewer.
std::vector<std::uint32_t> decode_levels(std::span<const std::byte> bytes, unsigned bit_width,
                                         std::size_t count, std::string_view name);

}  // namespace mixtral::eval

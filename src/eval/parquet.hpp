// Parquet files, as data sets are published.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "eval/row.hpp"

namespace mixtral::eval {

/// The rows of the Parquet file whose content is `bytes`, called `name` in messages: texts, numbers
/// and truth values, within structures and lists to any depth; plain or dictionary-encoded, in
/// pages of either version, uncompressed or with snappy, gzip or zstd.
/// Throws Error(format) for a file that is malformed and Error(unsupported) for anything else.
Rows read_parquet(std::span<const std::byte> bytes, std::string_view name);

}  // namespace mixtral::eval

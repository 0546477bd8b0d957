// What a Parquet file says about itself: its columns and where their bytes lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/decompress.hpp"

namespace mixtral::eval {

/// Parquet's numbers of the types that are read.
enum class ParquetType : std::int32_t {
  boolean = 0,
  int32 = 1,
  int64 = 2,
  real32 = 4,
  real64 = 5,
  bytes = 6,
};

/// One node on the way from a row to a value: first it may be missing, then it may be a list.
struct ParquetStep {
  std::string name;  // empty: the element of a list
  bool optional = false;
  bool repeated = false;
};

/// A column of values, possibly within structures and lists.
struct ParquetColumn {
  std::string name;  // "choices.list.element", for messages
  std::vector<ParquetStep> path;
  ParquetType type = ParquetType::bytes;
  std::uint32_t max_definition = 0;  // optional and repeated nodes on the path
  std::uint32_t max_repetition = 0;  // repeated nodes on the path
};

/// The part of a column that a row group holds.
struct ParquetChunk {
  Codec codec = Codec::none;
  std::size_t n_values = 0;            // entries, nulls and empty lists included
  std::span<const std::byte> pages{};  // of the file
};

struct ParquetRowGroup {
  std::size_t n_rows = 0;
  std::vector<ParquetChunk> chunks;  // one for each column
};

struct ParquetFile {
  std::vector<ParquetColumn> columns;
  std::vector<ParquetRowGroup> row_groups;
};

/// Reads the footer of the file whose content is `bytes`. Throws Error(format) and
/// Error(unsupported), naming the file as `name`.
ParquetFile parse_parquet_footer(std::span<const std::byte> bytes, std::string_view name);

}  // namespace mixtral::eval

// The pages of a Parquet column.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "eval/parquet_schema.hpp"
#include "eval/row.hpp"

namespace mixtral::eval {

/// How much memory a file may still take, so that a small one can't unfold into a huge one.
class ParquetBudget {
 public:
  explicit ParquetBudget(std::size_t n_bytes) : n_left_(n_bytes) {}

  /// Throws Error(unsupported), which begins with `name`, when less is left.
  void take(std::size_t n_bytes, const std::string& name);

 private:
  std::size_t n_left_;
};

/// What a column stores about one value, or about one that is missing.
struct ParquetEntry {
  std::uint32_t repetition;  // which list it continues; 0: it begins a row
  std::uint32_t definition;  // how much of its path is there
  Row value;                 // null unless all of the path is there
};

/// Calls on_entry for each entry of `chunk`, in order. Throws Error(format) and Error(unsupported),
/// which begin with `name`.
void read_parquet_chunk(const ParquetColumn& column, const ParquetChunk& chunk,
                        ParquetBudget& budget, const std::string& name,
                        const std::function<void(ParquetEntry&&)>& on_entry);

}  // namespace mixtral::eval

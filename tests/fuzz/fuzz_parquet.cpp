// Any bytes are rows whose columns are those of the schema, or an Error; in bounded memory.
#include <cstddef>
#include <cstdint>
#include <span>

#include "check.hpp"
#include "eval/parquet.hpp"
#include "mixtral/core/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    const auto rows = mixtral::eval::read_parquet(bytes, "test.parquet");
    for (const auto& row : rows) {
      check(row.is_object());
      check(row.size() == rows[0].size());
    }
  } catch (const mixtral::Error& error) {
    check(error.code() == mixtral::ErrorCode::format ||
          error.code() == mixtral::ErrorCode::unsupported);
  }
  return 0;
}

// Any bytes are a safetensors file with tensors inside it, or an Error.
#include <cstddef>
#include <cstdint>

#include "check.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto header = mixtral::parse_safetensors_header(bytes, size, "fuzz.safetensors");
    std::size_t end = size;
    for (auto entry = header.tensors.rbegin(); entry != header.tensors.rend(); ++entry) {
      check(entry->offset + entry->bytes == end);
      check(mixtral::safetensors_bytes(entry->dtype, entry->shape) == entry->bytes);
      end = entry->offset;
    }
    check(end >= 10);
  } catch (const mixtral::Error& error) {
    check(error.code() == mixtral::ErrorCode::format);
  }
  return 0;
}

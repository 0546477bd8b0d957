// Any bytes are a native file whose weights lie inside it, or an Error.
#include <cstddef>
#include <cstdint>

#include "check.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/native_checkpoint.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mixtral;
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    const NativeIndex index = parse_native(bytes, "fuzz.mixtral");
    const std::byte* at = bytes.data();
    for (const NativePart& part : index.parts) {
      check(part.bytes.data() == at);
      at += part.bytes.size();
    }
    check(at + sizeof(std::uint64_t) == bytes.data() + size);
    std::size_t n_weights = 0;
    visit_tensors(index.config, [&](const TensorKey&) { ++n_weights; });
    check(index.weights.size() == n_weights);
    for (const WeightView& weight : index.weights) {
      const auto offset = static_cast<std::size_t>(weight.data - bytes.data());
      check(offset % 4096 == 0 && offset <= size && weight.bytes() <= size - offset);
      check(weight.cols % block_of(weight.dtype).elements == 0);
    }
  } catch (const Error& error) {
    check(error.code() == ErrorCode::format || error.code() == ErrorCode::unsupported);
  }
  return 0;
}

// Any bytes are a pickle of a dictionary of tensors or, when they begin with "P", a whole file of torch whose
// tensors lie inside it; or an Error.
#include <cstddef>
#include <cstdint>

#include "check.hpp"
#include "io/pickle.hpp"
#include "io/torch_file.hpp"
#include "mixtral/core/error.hpp"

namespace {

using namespace mixtral;

void read_pickle(std::span<const std::byte> bytes) {
  for (const detail::PickledTensor& tensor : detail::read_pickled_tensors(bytes, "fuzz.pkl")) {
    check(tensor.shape.size() == tensor.strides.size() &&
          tensor.shape.size() <= detail::kMaxPickledRank);
    check(tensor.name.size() <= bytes.size() && tensor.storage.size() <= bytes.size());
  }
}

void read_file(std::span<const std::byte> bytes) {
  unsigned sum = 0;
  for (const detail::FileTensor& tensor : detail::parse_torch_file(bytes, "fuzz.pt")) {
    check(tensor.strides.empty() || tensor.strides.size() == tensor.shape.size());
    std::size_t last = 0;  // element; the bytes must reach to its end
    for (std::size_t i = 0; i < tensor.strides.size(); ++i) {
      if (tensor.shape[i] > 0) last += (tensor.shape[i] - 1) * tensor.strides[i];
    }
    check(tensor.bytes.empty() || last < tensor.bytes.size());
    if (!tensor.bytes.empty()) {
      sum += std::to_integer<unsigned>(tensor.bytes.front()) +
             std::to_integer<unsigned>(tensor.bytes.back());
    }
  }
  check(sum != 1u << 31);  // so that the reads stay
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    data[0] == 'P' ? read_file(bytes) : read_pickle(bytes);
  } catch (const Error& error) {
    check(error.code() == ErrorCode::format || error.code() == ErrorCode::unsupported);
  }
  return 0;
}

// Any bytes are a GGUF file with tensors inside it, and a configuration and a tokenizer or none, or an Error.
#include <cstddef>
#include <cstdint>

#include "check.hpp"
#include "io/gguf.hpp"
#include "io/gguf_checkpoint.hpp"
#include "io/gguf_tokenizer.hpp"
#include "mixtral/core/error.hpp"
#include "text/sentencepiece_model.hpp"

namespace {

using namespace mixtral;

template <class F>
void may_refuse(F f) {
  try {
    f();
  } catch (const Error& error) {
    check(error.code() == ErrorCode::format || error.code() == ErrorCode::unsupported);
  }
}

void check_tensors(const detail::GgufHeader& header, std::size_t size) {
  std::size_t end = 0;
  for (const detail::GgufTensor& tensor : header.tensors) {
    check(tensor.offset >= end && tensor.offset <= size && tensor.bytes <= size - tensor.offset);
    check(tensor.shape.back() % tensor.type->block.elements == 0);
    end = tensor.offset + tensor.bytes;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  may_refuse([&] {
    const auto header = detail::parse_gguf(std::as_bytes(std::span(data, size)), "fuzz.gguf");
    check_tensors(header, size);
    for (const auto& [key, value] : header.metadata.values()) detail::describe(value);
    may_refuse([&] { validate(detail::gguf_config(header.metadata, false)); });
    may_refuse([&] { detail::gguf_tokenizer_config(header.metadata); });
    may_refuse([&] {
      const auto model = detail::gguf_tokenizer_model(header.metadata);
      if (model) detail::parse_sentencepiece_model(*model, "fuzz.model");
    });
  });
  return 0;
}

// Any bytes are a tokenizer.model that encodes and decodes, or an Error.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "mixtral/core/error.hpp"
#include "tokenizer_properties.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::shared_ptr<const mixtral::Tokenizer> tokenizer;
  try {
    tokenizer = mixtral::parse_sentencepiece(std::as_bytes(std::span(data, size)), "fuzz");
  } catch (const mixtral::Error& error) {
    check(error.code() == mixtral::ErrorCode::format ||
          error.code() == mixtral::ErrorCode::unsupported);
    return 0;
  }
  check_vocabulary(*tokenizer);
  check_encoding(tokenizer, kMixedText);
  return 0;
}

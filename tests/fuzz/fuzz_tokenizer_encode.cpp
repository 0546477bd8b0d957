// Any bytes encode to the same ids with tokenizer.model and tokenizer.json, and decode to what they
// were when they were UTF-8.
#include <cstddef>
#include <cstdint>

#include "text/tokenizer_files.hpp"
#include "tokenizer_properties.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto model = mixtral_test::small_tokenizer();
  static const auto json =
      mixtral_test::load_json(mixtral_test::tokenizer_json(mixtral_test::small_pieces()));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto ids = check_encoding(model, text);
  check(json->encode(text) == ids);
  const bool has_space_symbol = text.find("\xE2\x96\x81") != text.npos;
  if (mixtral::detail::is_valid_utf8(text) && !has_space_symbol) check(model->decode(ids) == text);
  return 0;
}

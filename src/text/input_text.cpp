#include "text/input_text.hpp"

#include <algorithm>

#include "core/utf8.hpp"
#include "mixtral/core/error.hpp"
#include "text/vocabulary.hpp"

namespace mixtral::detail {

void check_text_size(std::string_view text) {
  constexpr std::size_t kMaxTextBytes = std::size_t{1} << 28;  // a byte becomes 3 at most
  if (text.size() > kMaxTextBytes) {
    throw Error(ErrorCode::invalid_argument,
                "a text of " + std::to_string(text.size()) + " bytes; at most " +
                    std::to_string(kMaxTextBytes) + " can be encoded at once");
  }
}

std::string escape_spaces(std::string_view text) {
  std::string escaped(kSpaceSymbol);
  escaped.reserve(text.size() + text.size() / 2);
  while (!text.empty()) {
    const std::size_t plain = std::min(text.find(' '), text.size());
    append_as_utf8(escaped, text.substr(0, plain));
    text.remove_prefix(plain);
    if (!text.empty()) {
      escaped += kSpaceSymbol;
      text.remove_prefix(1);
    }
  }
  return escaped;
}

}  // namespace mixtral::detail

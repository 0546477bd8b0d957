#include "core/message.hpp"

#include <algorithm>

#include "core/utf8.hpp"

namespace mixtral::detail {
namespace {

constexpr std::size_t kLongest = 200;

void append_escaped(std::string& out, char c) {
  constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  out += "\\x";
  out += kHex[byte >> 4];
  out += kHex[byte & 15];
}

}  // namespace

std::string quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty() && out.size() < kLongest) {
    const std::size_t length = utf8_character_size(text);
    const bool control = static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f;
    if (length == 0 || control) {
      append_escaped(out, text[0]);
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out + (text.empty() ? "\"" : "\"...");
}

std::string shape_text(std::span<const std::size_t> shape) {
  constexpr std::size_t kShown = 8;
  std::string text = "[";
  for (std::size_t i = 0; i < std::min(shape.size(), kShown); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + (shape.size() > kShown ? ", ...]" : "]");
}

}  // namespace mixtral::detail

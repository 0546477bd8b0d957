#include "eval/python_text.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "core/utf8.hpp"

namespace mixtral::eval {
namespace {

using CodePoint = utf8proc_int32_t;

bool is_space(CodePoint c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

/// The first character of `text`, which isn't empty, and its bytes; a bad byte is a character.
std::pair<CodePoint, std::size_t> first_character(std::string_view text) {
  CodePoint c = 0;
  const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                     static_cast<utf8proc_ssize_t>(text.size()), &c);
  return size > 0 ? std::pair{c, static_cast<std::size_t>(size)} : std::pair{CodePoint{-1}, std::size_t{1}};
}

std::size_t last_character_begin(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

void append(std::string& out, CodePoint c) {
  std::array<utf8proc_uint8_t, 4> bytes;
  const auto size = utf8proc_encode_char(c, bytes.data());
  out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(size));
}

}  // namespace

std::size_t n_characters(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); text.remove_prefix(first_character(text).second)) ++count;
  return count;
}

std::string_view rstrip(std::string_view text) {
  while (!text.empty()) {
    const std::size_t begin = last_character_begin(text);
    if (!is_space(first_character(text.substr(begin)).first)) break;
    text = text.substr(0, begin);
  }
  return text;
}

std::string_view strip(std::string_view text) {
  while (!text.empty()) {
    const auto [c, size] = first_character(text);
    if (!is_space(c)) break;
    text.remove_prefix(size);
  }
  return rstrip(text);
}

std::string capitalize(std::string_view text) {
  std::string out;
  bool is_first = true;
  while (!text.empty()) {
    const auto [c, size] = first_character(text);
    if (c < 0) {
      out += text[0];
    } else if (c == 0x130 && !is_first) {
      out += "i\u0307";  // the one character whose lower case is two
    } else {
      append(out, is_first ? utf8proc_totitle(c) : utf8proc_tolower(c));
    }
    is_first = false;
    text.remove_prefix(size);
  }
  return out;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (std::size_t found; (found = text.find(from)) != std::string_view::npos;) {
    out.append(text.substr(0, found)).append(to);
    text.remove_prefix(found + from.size());
  }
  return out.append(text);
}

}  // namespace mixtral::eval

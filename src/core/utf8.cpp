#include "core/utf8.hpp"

#include <algorithm>
#include <cstdint>

namespace mixtral::detail {
namespace {

std::uint32_t byte_at(std::string_view text, std::size_t index) noexcept {
  return static_cast<unsigned char>(text[index]);
}

bool is_trail_byte(char byte) noexcept { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// Bytes that a character starting with `lead` has; 0 when no character starts so.
std::size_t size_from_lead(std::uint32_t lead) noexcept {
  if (lead < 0x80) return 1;
  if ((lead & 0xE0) == 0xC0) return 2;
  if ((lead & 0xF0) == 0xE0) return 3;
  if ((lead & 0xF8) == 0xF0) return 4;
  return 0;
}

bool is_code_point_of_size(std::uint32_t code_point, std::size_t size) noexcept {
  constexpr std::uint32_t kFirstOfSize[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code_point >= 0xD800 && code_point < 0xE000;
  return code_point >= kFirstOfSize[size] && code_point <= 0x10FFFF && !is_surrogate;
}

}  // namespace

std::size_t utf8_character_size(std::string_view text) noexcept {
  const std::uint32_t lead = byte_at(text, 0);
  const std::size_t size = size_from_lead(lead);
  if (size <= 1) return size;
  if (text.size() < size) return 0;
  std::uint32_t code_point = lead & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_trail_byte(text[i])) return 0;
    code_point = (code_point << 6) | (byte_at(text, i) & 0x3F);
  }
  return is_code_point_of_size(code_point, size) ? size : 0;
}

bool is_valid_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t size = utf8_character_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::size_t count_characters(std::string_view text) noexcept {
  return text.size() - static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_trail_byte));
}

void append_as_utf8(std::string& out, std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t size = utf8_character_size(bytes);
    out += size == 0 ? kReplacementCharacter : bytes.substr(0, size);
    bytes.remove_prefix(std::max<std::size_t>(size, 1));
  }
}

std::size_t unfinished_utf8_size(std::string_view bytes) noexcept {
  for (std::size_t size = 1; size <= std::min<std::size_t>(3, bytes.size()); ++size) {
    const char byte = bytes[bytes.size() - size];
    if (is_trail_byte(byte)) continue;
    return size < size_from_lead(static_cast<unsigned char>(byte)) ? size : 0;
  }
  return 0;
}

}  // namespace mixtral::detail

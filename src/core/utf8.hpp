// UTF-8 as SentencePiece reads it: one bad byte at a time becomes U+FFFD.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mixtral::detail {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

/// Bytes of the character at the start of `text`: 1 to 4, or 0 when there is no valid one (overlong
/// forms, surrogates and values above U+10FFFF are not valid). `text` is not empty.
std::size_t utf8_character_size(std::string_view text) noexcept;

bool is_valid_utf8(std::string_view text) noexcept;

/// Bytes that begin a character: of valid UTF-8, how many characters it has.
std::size_t count_characters(std::string_view text) noexcept;

/// Appends `bytes`, each byte that is no part of a valid character as U+FFFD.
void append_as_utf8(std::string& out, std::string_view bytes);

/// Bytes at the end of `bytes` that could still become a character when more bytes follow: 0 to 3.
std::size_t unfinished_utf8_size(std::string_view bytes) noexcept;

}  // namespace mixtral::detail

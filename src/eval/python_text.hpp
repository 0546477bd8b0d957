// Python's operations on texts, where prompts depend on them. Texts are UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mixtral::eval {

/// len(text): Unicode characters.
std::size_t n_characters(std::string_view text);

/// text.rstrip() and text.strip(): without what Unicode calls white space.
std::string_view rstrip(std::string_view text);
std::string_view strip(std::string_view text);

/// text.capitalize(): the first character in title case, the others in lower case. A first character
/// whose title case is several, such as "ß", stays as it is, and no sigma becomes a final one.
std::string capitalize(std::string_view text);

/// text.replace(from, to).
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

}  // namespace mixtral::eval

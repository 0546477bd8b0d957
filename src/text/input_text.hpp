// What happens to a text before it is split into pieces.
#pragma once

#include <string>
#include <string_view>

namespace mixtral::detail {

/// Throws Error(invalid_argument) for a text that 32-bit indexes could not hold once it is escaped.
void check_text_size(std::string_view text);

/// `text` behind one space (the dummy prefix), spaces as U+2581, each bad byte as U+FFFD.
std::string escape_spaces(std::string_view text);

}  // namespace mixtral::detail

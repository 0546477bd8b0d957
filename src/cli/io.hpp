// What the commands read and print.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/core/tensor.hpp"

namespace mixtral::cli {

/// Keys in the order in which they were set.
using Json = nlohmann::ordered_json;

/// Everything in the file `path`; of standard input for "-". Throws Error(io).
std::string read_input(const std::string& path);

/// Without the one line break that editors and `echo` put at the end.
std::string_view without_final_newline(std::string_view text) noexcept;

/// Without spaces and line breaks at both ends.
std::string_view trimmed(std::string_view text) noexcept;

/// The ids in "1,2,3"; spaces around the numbers are fine. Throws Error(invalid_argument) that
/// shows the entry at fault.
std::vector<TokenId> parse_ids(std::string_view text);

/// "1,2,3".
std::string format_ids(std::span<const TokenId> ids);

/// Prints to stdout at once. Throws Error(io) when that fails.
void print(std::string_view text);

/// Prints `json` indented, ending the line; bytes that aren't UTF-8 become U+FFFD.
void print_json(const Json& json);

/// "93.4 GB": three digits, decimal units.
std::string format_bytes(double bytes);

/// "46.7 B": three digits; K, M, B or T.
std::string format_count(double count);

}  // namespace mixtral::cli

// Finding and comparing the numbers in gsm8k's answers.
#pragma once

#include <string>
#include <string_view>

namespace mixtral::eval {

/// What stands for an answer without a number.
inline constexpr std::string_view kNoAnswer = "[invalid]";

/// The number after the first "#### " that has one: `#### (\-?[0-9\.\,]+)`.
std::string_view strict_match(std::string_view text);

/// The last number anywhere: `(-?[$0-9.,]{2,})|(-?[0-9]+)`.
std::string_view flexible_extract(std::string_view text);

/// Equal once everything up to the last "#### ", commas, dollar signs and a full stop at the end are
/// removed.
bool is_exact_match(std::string_view answer, std::string_view gold);

}  // namespace mixtral::eval

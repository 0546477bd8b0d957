// Data sets in text files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eval/row.hpp"

namespace mixtral::eval {

/// One JSON object per line; empty lines are skipped. Throws Error(format) with the line's number.
Rows read_jsonl(std::string_view text, std::string_view name);

/// Comma-separated values as Python's csv module reads them: fields may stand between double quotes,
/// which are doubled within. Throws Error(format) for quotes that never end.
std::vector<std::vector<std::string>> read_csv(std::string_view text, std::string_view name);

}  // namespace mixtral::eval

// JSON text as Python's json.dumps(value, ensure_ascii=False) spells it: what Mistral's models have seen.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mixtral::detail {

/// `text` in Python's spelling; nothing when it isn't JSON, or is nested more than 64 deep. Of a key that
/// occurs twice the last value counts.
std::optional<std::string> to_python_json(std::string_view text);

/// `text` as a JSON string.
std::string python_json_string(std::string_view text);

}  // namespace mixtral::detail

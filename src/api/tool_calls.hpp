// What the model writes behind [TOOL_CALLS].
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "mixtral/text/chat_format.hpp"

namespace mixtral::api {

/// The calls in `[{"name": ..., "arguments": {...}, "id": ...}, ...]`; nothing when `text` is anything
/// else. A call without a usable id gets a random one.
std::optional<std::vector<ToolCall>> parse_tool_calls(std::string_view text);

}  // namespace mixtral::api

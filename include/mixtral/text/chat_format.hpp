// Mistral's instruct formats, token for token as mistral-common makes them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/text/tokenizer.hpp"

namespace mixtral {

enum class Role { system, user, assistant, tool };

/// A function that the assistant wants called.
struct ToolCall {
  std::string id;  ///< 9 letters and digits
  std::string name;
  std::string arguments;  ///< a JSON object
};

struct ChatMessage {
  Role role;
  std::string content = {};               ///< UTF-8; never parsed for control tokens
  std::vector<ToolCall> tool_calls = {};  ///< of the assistant, instead of content
  std::string tool_call_id = {};          ///< of a tool: the call whose result `content` is
};

/// v1: plain "[INST] … [/INST]" text (8x7B-Instruct). v3: control tokens (8x22B-Instruct).
enum class ChatVersion { v1, v3 };

/// v3 when the vocabulary has the control tokens [INST] and [/INST], else v1.
ChatVersion detect_chat_version(const Tokenizer& tokenizer);

/// Ids of a conversation, starting with BOS, ready for the model to continue. The last message is
/// the user's, a tool's, or the assistant's: then its text is a prefix that the model goes on from (no EOS).
/// Consecutive messages of one role are joined with a blank line, but results of tools stay apart.
/// `tools`, unless empty, is a JSON array of the functions that the model may ask for, as the OpenAI API
/// writes them: [{"type": "function", "function": {"name", "description", "parameters"}}].
/// Throws Error(invalid_argument) for an empty conversation, roles out of order, or calls and results
/// that don't match; Error(unsupported) for tools in v1.
std::vector<TokenId> format_chat(const Tokenizer& tokenizer, ChatVersion version,
                                 std::span<const ChatMessage> messages, std::string_view tools = {});

}  // namespace mixtral

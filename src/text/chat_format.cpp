#include "mixtral/text/chat_format.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "text/python_json.hpp"

namespace mixtral {
namespace {

constexpr std::string_view kBlankLine = "\n\n";

struct Conversation {
  std::string system_prompt;       ///< of all system messages
  std::vector<ChatMessage> turns;  ///< no system messages; the first is a user's
};

void append_paragraph(std::string& text, std::string_view paragraph) {
  if (!text.empty() && !paragraph.empty()) text += kBlankLine;
  text += paragraph;
}

[[noreturn]] void refuse(std::size_t index, const std::string& fault) {
  throw Error(ErrorCode::invalid_argument,
              "message " + std::to_string(index) + " of the conversation" + fault);
}

bool is_alphanumeric(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool is_call_id(std::string_view id) noexcept {
  return id.size() == 9 && std::all_of(id.begin(), id.end(), is_alphanumeric);
}

bool is_function_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return is_alphanumeric(c) || c == '_' || c == '-';
  });
}

void check_content(std::size_t index, const ChatMessage& message) {
  if (message.role == Role::assistant && message.content.empty() == message.tool_calls.empty()) {
    refuse(index, message.content.empty() ? ", the assistant's, is empty"
                                          : ", the assistant's, has both content and tool calls");
  }
  if (message.role != Role::assistant && !message.tool_calls.empty()) {
    refuse(index, ": only the assistant's can have tool calls");
  }
  if (message.role == Role::tool && !is_call_id(message.tool_call_id)) {
    refuse(index, ": expected a tool call id of 9 letters and digits, found " +
                      detail::quote(message.tool_call_id));
  }
  for (const ToolCall& call : message.tool_calls) {
    if (!is_call_id(call.id)) {
      refuse(index, ": expected tool call ids of 9 letters and digits, found " + detail::quote(call.id));
    }
    if (!is_function_name(call.name)) {
      refuse(index, ": expected the name of a function, of at most 64 letters, digits, \"_\" and \"-\", found " +
                        detail::quote(call.name));
    }
  }
}

bool may_follow(Role previous, Role role) noexcept {
  switch (role) {
    case Role::system:
      return previous == Role::system || previous == Role::user;
    case Role::tool:
      return previous == Role::assistant || previous == Role::tool;
    case Role::user:
    case Role::assistant:
      return true;
  }
  return false;
}

/// The assistant goes on only when each call has had its result.
void check_results(std::span<const ChatMessage> messages) {
  std::size_t n_calls = 0, n_results = 0;
  for (std::size_t i = 1; i < messages.size(); ++i) {
    if (messages[i].role == Role::tool) ++n_results;
    if (messages[i].role != Role::assistant) continue;
    if (n_calls != n_results) {
      refuse(i, ", the assistant's, follows " + std::to_string(n_calls) + " tool calls and " +
                    std::to_string(n_results) + " results");
    }
    n_calls = messages[i].tool_calls.size();
    n_results = 0;
  }
}

void check(std::span<const ChatMessage> messages) {
  if (messages.empty()) throw Error(ErrorCode::invalid_argument, "the conversation is empty");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    check_content(i, messages[i]);
    if (i == 0) continue;
    const ChatMessage& previous = messages[i - 1];
    if (previous.role == Role::assistant && messages[i].role == Role::assistant &&
        previous.tool_calls.empty() != messages[i].tool_calls.empty()) {
      refuse(i, ", the assistant's, would be joined with another kind of message");
    }
    if (!may_follow(previous.role, messages[i].role)) {
      refuse(i, messages[i].role == Role::system ? ", a system message, follows an assistant's or a tool's"
                                                 : ", a tool's, follows no tool call");
    }
  }
  if (messages.size() == 1 && messages[0].role != Role::user && messages[0].role != Role::system) {
    throw Error(ErrorCode::invalid_argument, "the conversation is a lone message, not the user's");
  }
  check_results(messages);
}

/// Appends what `message` says to `turn`, of the same role.
void join(ChatMessage& turn, const ChatMessage& message) {
  append_paragraph(turn.content, message.content);
  turn.tool_calls.insert(turn.tool_calls.end(), message.tool_calls.begin(), message.tool_calls.end());
}

/// mistral-common's InstructRequestNormalizer: system messages leave their place, neighbours of one
/// role are joined, and the conversation starts with a user, if need be an empty one.
Conversation normalize(std::span<const ChatMessage> messages) {
  Conversation result;
  std::optional<Role> previous;
  for (const ChatMessage& message : messages) {
    if (message.role == Role::system) {
      append_paragraph(result.system_prompt, message.content);
    } else if (message.role == previous && message.role != Role::tool) {
      join(result.turns.back(), message);
    } else {
      result.turns.push_back(message);
    }
    previous = message.role;
  }
  if (result.turns.empty() || result.turns.front().role != Role::user) {
    result.turns.insert(result.turns.begin(), {Role::user});
  }
  return result;
}

class ChatEncoder {
 public:
  explicit ChatEncoder(const Tokenizer& tokenizer)
      : tokenizer_(tokenizer), ids_{tokenizer.bos_id()} {}

  void text(std::string_view text) {
    const std::vector<TokenId> ids = tokenizer_.encode(text);
    ids_.insert(ids_.end(), ids.begin(), ids.end());
  }

  void control(std::string_view name) {
    const auto id = tokenizer_.find(name);
    if (!id || tokenizer_.kind(*id) != TokenKind::control) {
      throw Error(ErrorCode::unsupported, "chat format v3 needs the control token " +
                                              std::string(name) +
                                              ", which the vocabulary does not have");
    }
    ids_.push_back(*id);
  }

  void end_of_turn() { ids_.push_back(tokenizer_.eos_id()); }

  std::vector<TokenId> take() { return std::move(ids_); }

 private:
  const Tokenizer& tokenizer_;
  std::vector<TokenId> ids_;
};

void encode_user(ChatEncoder& out, ChatVersion version, const std::string& content) {
  if (version == ChatVersion::v1) return out.text("[INST] " + content + " [/INST]");
  out.control("[INST]");
  out.text(content);
  out.control("[/INST]");
}

/// A JSON value, or a string when `text` isn't one.
std::string json_value(const std::string& text) {
  if (text.empty()) return "{}";
  return detail::to_python_json(text).value_or(detail::python_json_string(text));
}

std::string describe(const ToolCall& call) {
  return "{\"name\": " + detail::python_json_string(call.name) +
         ", \"arguments\": " + json_value(call.arguments) +
         ", \"id\": " + detail::python_json_string(call.id) + "}";
}

void encode_calls(ChatEncoder& out, std::span<const ToolCall> calls) {
  std::string text;
  for (const ToolCall& call : calls) text += (text.empty() ? "" : ", ") + describe(call);
  out.control("[TOOL_CALLS]");
  out.text("[" + text + "]");
}

void encode_result(ChatEncoder& out, const ChatMessage& message) {
  out.control("[TOOL_RESULTS]");
  out.text("{\"content\": " + json_value(message.content) +
           ", \"call_id\": " + detail::python_json_string(message.tool_call_id) + "}");
  out.control("[/TOOL_RESULTS]");
}

void encode_tools(ChatEncoder& out, std::string_view tools) {
  const auto text = detail::to_python_json(tools);
  if (!text || !text->starts_with('[')) {
    throw Error(ErrorCode::invalid_argument, "tools: expected a JSON array");
  }
  out.control("[AVAILABLE_TOOLS]");
  out.text(*text);
  out.control("[/AVAILABLE_TOOLS]");
}

void encode_assistant(ChatEncoder& out, ChatVersion version, const ChatMessage& message) {
  if (!message.tool_calls.empty()) return encode_calls(out, message.tool_calls);
  std::string_view text = message.content;
  if (version == ChatVersion::v3) text = text.substr(0, text.find_last_not_of(' ') + 1);
  out.text(text);
}

void require_no_tools(std::span<const ChatMessage> messages, std::string_view tools) {
  const bool has_any = std::any_of(messages.begin(), messages.end(), [](const ChatMessage& message) {
    return message.role == Role::tool || !message.tool_calls.empty();
  });
  if (has_any || !tools.empty()) {
    throw Error(ErrorCode::unsupported,
                "chat format v1, which the model's vocabulary is made for, has no tools");
  }
}

std::size_t last_user(std::span<const ChatMessage> turns) noexcept {
  std::size_t last = turns.size() - 1;
  while (turns[last].role != Role::user) --last;
  return last;
}

}  // namespace

ChatVersion detect_chat_version(const Tokenizer& tokenizer) {
  for (const std::string_view name : {"[INST]", "[/INST]"}) {
    const auto id = tokenizer.find(name);
    if (!id || tokenizer.kind(*id) != TokenKind::control) return ChatVersion::v1;
  }
  return ChatVersion::v3;
}

std::vector<TokenId> format_chat(const Tokenizer& tokenizer, ChatVersion version,
                                 std::span<const ChatMessage> messages, std::string_view tools) {
  check(messages);
  if (version == ChatVersion::v1) require_no_tools(messages, tools);
  const auto [system_prompt, turns] = normalize(messages);
  const std::size_t last = last_user(turns);
  const std::size_t system_turn = version == ChatVersion::v1 ? 0 : last;
  ChatEncoder out(tokenizer);
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const ChatMessage& turn = turns[i];
    if (turn.role == Role::assistant) {
      encode_assistant(out, version, turn);
      if (i + 1 < turns.size()) out.end_of_turn();
    } else if (turn.role == Role::tool) {
      encode_result(out, turn);
    } else {
      if (i == last && !tools.empty()) encode_tools(out, tools);
      const bool has_system = i == system_turn && !system_prompt.empty();
      encode_user(out, version,
                  has_system ? system_prompt + std::string(kBlankLine) + turn.content : turn.content);
    }
  }
  return out.take();
}

}  // namespace mixtral

#include "mixtral/text/chat_format.hpp"

#include <optional>
#include <utility>

#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

constexpr std::string_view kBlankLine = "\n\n";

struct Conversation {
  std::string system_prompt;       ///< of all system messages
  std::vector<ChatMessage> turns;  ///< users and assistants only, the first is a user
};

void append_paragraph(std::string& text, std::string_view paragraph) {
  if (!text.empty() && !paragraph.empty()) text += kBlankLine;
  text += paragraph;
}

void check_order(std::span<const ChatMessage> messages) {
  if (messages.empty()) throw Error(ErrorCode::invalid_argument, "the conversation is empty");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& [role, content] = messages[i];
    const std::string which = "message " + std::to_string(i) + " of the conversation";
    if (role == Role::assistant && content.empty()) {
      throw Error(ErrorCode::invalid_argument, which + ", the assistant's, is empty");
    }
    if (role == Role::system && i > 0 && messages[i - 1].role == Role::assistant) {
      throw Error(ErrorCode::invalid_argument,
                  which + ", a system message, follows an assistant's");
    }
  }
  if (messages.size() == 1 && messages[0].role == Role::assistant) {
    throw Error(ErrorCode::invalid_argument, "the conversation is a lone assistant message");
  }
}

/// mistral-common's InstructRequestNormalizer: system messages leave their place, neighbours of one
/// role are joined, and the conversation starts with a user, if need be an empty one.
Conversation normalize(std::span<const ChatMessage> messages) {
  Conversation result;
  std::optional<Role> previous;
  for (const auto& [role, content] : messages) {
    if (role == Role::system) {
      append_paragraph(result.system_prompt, content);
    } else if (role == previous) {
      append_paragraph(result.turns.back().content, content);
    } else {
      result.turns.push_back({role, content});
    }
    previous = role;
  }
  if (result.turns.empty() || result.turns.front().role != Role::user) {
    result.turns.insert(result.turns.begin(), {Role::user, ""});
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

void encode_assistant(ChatEncoder& out, ChatVersion version, std::string_view content) {
  if (version == ChatVersion::v3) content = content.substr(0, content.find_last_not_of(' ') + 1);
  out.text(content);
}

/// v1 puts the system prompt before the first user's text, v3 before the last user's.
std::size_t turn_with_system_prompt(ChatVersion version, const std::vector<ChatMessage>& turns) {
  if (version == ChatVersion::v1) return 0;
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
                                 std::span<const ChatMessage> messages) {
  check_order(messages);
  const auto [system_prompt, turns] = normalize(messages);
  const std::size_t system_turn = turn_with_system_prompt(version, turns);
  ChatEncoder out(tokenizer);
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const auto& [role, content] = turns[i];
    if (role == Role::assistant) {
      encode_assistant(out, version, content);
      if (i + 1 < turns.size()) out.end_of_turn();
    } else if (i == system_turn && !system_prompt.empty()) {
      encode_user(out, version, system_prompt + std::string(kBlankLine) + content);
    } else {
      encode_user(out, version, content);
    }
  }
  return out.take();
}

}  // namespace mixtral

// Mistral's instruct formats, token for token as mistral-common makes them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "mixtral/text/tokenizer.hpp"

namespace mixtral {

enum class Role { system, user, assistant };

struct ChatMessage {
  Role role;
  std::string content;  ///< UTF-8; never parsed for control tokens
};

/// v1: plain "[INST] … [/INST]" text (8x7B-Instruct). v3: control tokens (8x22B-Instruct).
enum class ChatVersion { v1, v3 };

/// v3 when the vocabulary has the control tokens [INST] and [/INST], else v1.
ChatVersion detect_chat_version(const Tokenizer& tokenizer);

/// Ids of a conversation, starting with BOS, ready for the model to continue. The last message is
/// the user's, or the assistant's: then its text is a prefix that the model goes on from (no EOS).
/// Consecutive messages of one role are joined with a blank line.
/// Throws Error(invalid_argument) for an empty conversation or roles out of order.
std::vector<TokenId> format_chat(const Tokenizer& tokenizer, ChatVersion version,
                                 std::span<const ChatMessage> messages);

}  // namespace mixtral

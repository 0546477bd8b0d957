// What a generation starts from.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "mixtral/generate/model.hpp"

namespace mixtral::detail {

struct Prompt {
  std::vector<TokenId> ids;  // the whole sequence: what is held already, then what is new
  bool is_new_text;          // what follows is a text of its own, whose leading space isn't real
  std::size_t max_new_tokens = 0;  // set by `fit`; 0: the prompt is only scored
};

/// Throws Error(invalid_argument), naming `what`, for no ids or one out of range.
void require_ids(std::span<const TokenId> ids, const Model& model, const char* what);

/// `text` after the tokens `held`; BOS first where none is held.
Prompt make_prompt(const Model& model, std::span<const TokenId> held, std::string_view text);

/// `ids` after the tokens `held`.
Prompt make_prompt(const Model& model, std::span<const TokenId> held, std::span<const TokenId> ids);

/// A whole conversation, and the `tools` that the model may ask for (see format_chat).
Prompt make_chat_prompt(const Model& model, std::span<const ChatMessage> messages,
                        std::string_view tools = {});

/// Sets how many tokens may follow in a context of `n_ctx` tokens, and drops the front of the
/// prompt where options.overflow asks for it. Throws Error(capacity) when they don't fit.
void fit(Prompt& prompt, const Model& model, const GenerateOptions& options, std::size_t n_ctx);

}  // namespace mixtral::detail

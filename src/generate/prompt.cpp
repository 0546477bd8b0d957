#include "generate/prompt.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

/// After BOS or [/INST] a new text starts.
bool ends_with_control(const Model& model, std::span<const TokenId> ids) {
  return model.has_tokenizer() && model.tokenizer().kind(ids.back()) == TokenKind::control;
}

std::vector<TokenId> concatenate(std::span<const TokenId> first, std::span<const TokenId> second) {
  std::vector<TokenId> ids(first.begin(), first.end());
  ids.insert(ids.end(), second.begin(), second.end());
  return ids;
}

/// Leaves `size` >= 1 tokens: the last ones, behind BOS where the prompt starts with it.
void drop_front(std::vector<TokenId>& ids, std::size_t size, TokenId bos_id) {
  const std::size_t n_kept = ids.front() == bos_id ? 1 : 0;
  const std::size_t n_dropped = ids.size() - size;
  ids.erase(ids.begin() + n_kept, ids.begin() + n_kept + n_dropped);
}

}  // namespace

void require_ids(std::span<const TokenId> ids, const Model& model, const char* what) {
  const std::string name = what;
  if (ids.empty()) throw Error(ErrorCode::invalid_argument, name + ": expected ids, found none");
  const std::size_t vocab = model.config().vocab;
  for (TokenId id : ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= vocab) {
      throw Error(ErrorCode::invalid_argument, name + ": expected token ids below " +
                                                   std::to_string(vocab) + ", found " +
                                                   std::to_string(id));
    }
  }
}

Prompt make_prompt(const Model& model, std::span<const TokenId> held, std::string_view text) {
  std::vector<TokenId> ids =
      concatenate(held, held.empty() ? model.tokenize(text) : model.tokenizer().encode(text));
  const bool is_new_text = ends_with_control(model, ids);
  return {std::move(ids), is_new_text};
}

Prompt make_prompt(const Model& model, std::span<const TokenId> held,
                   std::span<const TokenId> ids) {
  require_ids(ids, model, "prompt");
  return {concatenate(held, ids), ends_with_control(model, ids)};
}

Prompt make_chat_prompt(const Model& model, std::span<const ChatMessage> messages,
                        std::string_view tools) {
  std::vector<TokenId> ids = format_chat(model.tokenizer(), model.chat_version(), messages, tools);
  return {std::move(ids), messages.back().role != Role::assistant};
}

void fit(Prompt& prompt, const Model& model, const GenerateOptions& options, std::size_t n_ctx) {
  const std::size_t n_prompt = prompt.ids.size();
  const std::size_t n_room = n_ctx - std::min(n_ctx, n_prompt);
  const bool only_scores = options.max_new_tokens == 0 && options.on_prompt_token;
  const std::size_t n_default =
      model.network().checkpoint().generation_defaults().max_new_tokens.value_or(n_room);
  const bool is_explicit = options.max_new_tokens > 0 || only_scores;
  const bool may_shrink = !is_explicit && n_room > 0;
  const std::size_t n_new = is_explicit  ? options.max_new_tokens
                            : may_shrink ? std::min(n_default, n_room)
                                         : n_default;
  const std::size_t n_least = only_scores ? 0 : 1;
  prompt.max_new_tokens = n_new;
  if (n_prompt <= n_ctx && n_new >= n_least && n_new <= n_room) return;

  if (options.overflow == Overflow::error || n_new < n_least || n_new >= n_ctx) {
    throw Error(ErrorCode::capacity,
                "context: expected prompt and new tokens within n_ctx = " + std::to_string(n_ctx) +
                    ", found " + std::to_string(n_prompt) + " tokens of prompt and " +
                    std::to_string(std::max(n_new, n_least)) + " to generate");
  }
  drop_front(prompt.ids, n_ctx - n_new, model.config().bos_id);
}

}  // namespace mixtral::detail

// What requests are for: the facts of a model that reading them needs, without its weights.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "api/job.hpp"

namespace mixtral::api {

struct Target {
  std::shared_ptr<const Tokenizer> tokenizer;  ///< may be null: then only prompts of ids work
  ChatVersion chat_version;
  std::size_t vocab;
  std::size_t n_ctx;
  SamplingOptions sampling;                           ///< where the request says nothing
  std::optional<std::size_t> max_new_tokens;          ///< the same
  std::vector<TokenId> eos_ids;

  /// `n_ctx` as ContextOptions has it.
  static Target of(const Model& model, std::size_t n_ctx);

  /// Throws ApiError(400) when there is none; `field` is to blame.
  const Tokenizer& require_tokenizer(const char* field) const;

  /// New tokens after a prompt of `n_prompt`, when the request doesn't say: the model's own limit, else
  /// `otherwise`, as far as they fit. At least 1.
  std::size_t default_new_tokens(std::size_t n_prompt, std::size_t otherwise) const;

  /// A job without options yet. Throws ApiError(400) when the prompt leaves no room in the context, and
  /// what format_chat throws.
  Job make_job(Conversation conversation) const;
  Job make_job(std::vector<TokenId> ids) const;
};

/// The text that `id` stands for in a text, such as " the"; a byte that is no ASCII character is
/// "bytes:\xNN", a control token its name.
std::string token_text(const Tokenizer& tokenizer, TokenId id);

/// The bytes that `id` stands for; a control token's are its name.
std::string token_bytes(const Tokenizer& tokenizer, TokenId id);

}  // namespace mixtral::api

// Log-probabilities as the OpenAI API writes them.
#pragma once

#include <cstddef>
#include <span>

#include "api/error.hpp"
#include "api/job.hpp"

namespace mixtral::api {

/// Of a completion: tokens, token_logprobs, top_logprobs and text_offset, one entry for each token. A token's
/// own logprob and the same in top_logprobs are the same number.
class CompletionLogprobs {
 public:
  /// The first token's text begins at `offset`.
  explicit CompletionLogprobs(const Tokenizer& tokenizer, std::size_t offset = 0)
      : tokenizer_(tokenizer), offset_(offset) {}

  /// The first token of a text: nothing comes before it, so it has no logprob.
  void add_first(TokenId id);
  void add(std::span<const Piece> pieces);

  std::size_t offset() const noexcept { return offset_; }
  Json to_json() const;

 private:
  void add_text(TokenId id);

  const Tokenizer& tokenizer_;
  std::size_t offset_;
  Json tokens_ = Json::array(), logprobs_ = Json::array();
  Json top_ = Json::array(), offsets_ = Json::array();
};

/// Of a chat: {"content": [...], "refusal": null}.
Json chat_logprobs(std::span<const Piece> pieces, const Tokenizer& tokenizer);

}  // namespace mixtral::api

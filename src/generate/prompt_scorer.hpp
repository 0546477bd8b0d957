// Log-probabilities of the tokens of a prompt.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "generate/prompt.hpp"
#include "mixtral/generate/generation.hpp"
#include "mixtral/generate/options.hpp"

namespace mixtral::detail {

/// Reports the tokens of one prompt to options.on_prompt_token, in order, as the logits before them
/// come.
class PromptScorer {
 public:
  /// `prompt` has been fitted. Without on_prompt_token there is nothing to score.
  PromptScorer(const GenerateOptions& options, const Prompt& prompt);

  bool is_done() const noexcept { return next_ == n_prompt_; }

  /// Whose logits are wanted first: the token before the next one to be scored; when none is left,
  /// the last of the prompt.
  std::size_t position() const noexcept { return next_ - 1; }

  /// Tokens of the prompt that have to be evaluated: where nothing is generated, the logits after
  /// the last don't matter.
  std::size_t n_evaluated() const noexcept { return generates_ ? n_prompt_ : n_prompt_ - 1; }

  /// Scores the next token of `prompt` by the logits before it. Not when is_done().
  void score(std::span<const TokenId> prompt, std::span<const float> logits);

 private:
  std::function<void(const TokenEvent&)> on_token_;
  std::size_t n_top_;
  std::size_t n_prompt_;
  bool generates_;    // text follows the prompt
  std::size_t next_;  // to be scored, >= 1
  std::vector<TokenLogprob> top_;
};

}  // namespace mixtral::detail

#include "generate/prompt_scorer.hpp"

#include <algorithm>

namespace mixtral::detail {

PromptScorer::PromptScorer(const GenerateOptions& options, const Prompt& prompt)
    : on_token_(options.on_prompt_token),
      n_top_(options.top_logprobs),
      n_prompt_(prompt.ids.size()),
      generates_(prompt.max_new_tokens > 0),
      next_(on_token_ ? std::clamp<std::size_t>(options.prompt_logprobs_from, 1, n_prompt_)
                      : n_prompt_) {}

void PromptScorer::score(std::span<const TokenId> prompt, std::span<const float> logits) {
  TokenEvent event{.id = prompt[next_], .text = {}};
  event.logprob = token_logprobs(logits, event.id, n_top_, top_);
  event.top_logprobs = top_;
  ++next_;
  if (is_done() && !generates_) event.finish = FinishReason::length;
  on_token_(event);
}

}  // namespace mixtral::detail

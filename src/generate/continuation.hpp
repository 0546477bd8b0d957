// What turns the logits of one sequence into text: choice, decoding, and when to stop.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "generate/prompt.hpp"
#include "mixtral/generate/generation.hpp"
#include "mixtral/generate/sampler.hpp"
#include "mixtral/generate/stop_matcher.hpp"
#include "mixtral/text/streaming_decoder.hpp"

namespace mixtral::detail {

class Continuation {
 public:
  /// Generates after `prompt`, which has been fitted. Throws Error for bad options.
  Continuation(const Model& model, const GenerateOptions& options, const Prompt& prompt);

  /// Chooses the token that follows by `logits` [vocab]. The event is valid until the next call.
  const TokenEvent& advance(std::span<const float> logits);

  /// Nothing more is to come.
  void cancel() noexcept { finish_ = FinishReason::cancelled; }

  /// Nothing was to be generated.
  void end() noexcept { finish_ = FinishReason::length; }

  std::optional<FinishReason> finish() const noexcept { return finish_; }

 private:
  void report_logprobs(std::span<const float> logits);
  void decode(TokenId id);
  void flush();
  bool is_eos(TokenId id) const noexcept;

  Sampler sampler_;
  std::optional<StreamingDecoder> decoder_;
  StopMatcher stop_matcher_;
  std::vector<TokenId> eos_ids_;
  bool wants_logprobs_;
  std::size_t n_top_logprobs_;
  std::size_t n_left_;
  std::optional<FinishReason> finish_;

  TokenEvent event_{};
  std::string text_;                        // of event_
  std::vector<TokenLogprob> top_logprobs_;  // of event_
};

}  // namespace mixtral::detail

#include "generate/continuation.hpp"

#include <algorithm>

#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

std::optional<StreamingDecoder> make_decoder(const Model& model, const GenerateOptions& options,
                                             bool is_new_text) {
  if (!model.has_tokenizer()) {
    if (options.stop.empty()) return std::nullopt;
    throw Error(ErrorCode::unsupported, "stop strings need a tokenizer, and the model has none");
  }
  return StreamingDecoder(model.shared_tokenizer(), is_new_text
                                                        ? StreamingDecoder::Start::fresh
                                                        : StreamingDecoder::Start::continuation);
}

}  // namespace

Continuation::Continuation(const Model& model, const GenerateOptions& options, const Prompt& prompt)
    : sampler_(options.sampling ? *options.sampling : model.default_sampling(),
               model.config().vocab),
      decoder_(make_decoder(model, options, prompt.is_new_text)),
      stop_matcher_(options.stop),
      eos_ids_(model.config().eos_ids),
      wants_logprobs_(options.logprobs || options.top_logprobs > 0),
      n_top_logprobs_(options.top_logprobs),
      n_left_(prompt.max_new_tokens) {
  sampler_.add_prompt(prompt.ids);
}

const TokenEvent& Continuation::advance(std::span<const float> logits) {
  event_ = {.id = sampler_.sample(logits), .text = {}};
  if (wants_logprobs_) report_logprobs(logits);

  --n_left_;
  if (is_eos(event_.id)) {
    finish_ = FinishReason::eos;
  } else if (n_left_ == 0) {
    finish_ = FinishReason::length;
  }
  if (decoder_) decode(event_.id);
  event_.finish = finish_;
  return event_;
}

void Continuation::report_logprobs(std::span<const float> logits) {
  event_.logprob = token_logprobs(logits, event_.id, n_top_logprobs_, top_logprobs_);
  event_.top_logprobs = top_logprobs_;
}

void Continuation::decode(TokenId id) {
  text_.clear();
  if (finish_ != FinishReason::eos) text_ += stop_matcher_.push(decoder_->push(id));
  if (finish_) flush();
  if (stop_matcher_.match()) finish_ = FinishReason::stop;
  event_.text = text_;
}

void Continuation::flush() {
  text_ += stop_matcher_.push(decoder_->finish());
  text_ += stop_matcher_.finish();
}

bool Continuation::is_eos(TokenId id) const noexcept {
  return std::find(eos_ids_.begin(), eos_ids_.end(), id) != eos_ids_.end();
}

}  // namespace mixtral::detail

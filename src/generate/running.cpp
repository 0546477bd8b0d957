#include "generate/running.hpp"

#include <algorithm>

namespace mixtral::detail {
namespace {

Sequence make_sequence(const Model& model, const Request& request, DType cache_dtype,
                       const EvaluatedPrefix& prefix) {
  const std::size_t n_ctx = request.n_positions();
  if (prefix.cache == nullptr) {
    return Sequence(KvCache(model.config(), n_ctx, cache_dtype), request.prompt.ids);
  }
  return Sequence(prefix.cache->copy(prefix.size, n_ctx), request.prompt.ids);
}

std::optional<Continuation> make_continuation(const Model& model, const Request& request) {
  if (request.prompt.max_new_tokens == 0) return std::nullopt;
  return Continuation(model, request.options, request.prompt);
}

}  // namespace

Running::Running(const Model& model, const Request& request, DType cache_dtype,
                 const EvaluatedPrefix& prefix)
    : index_(request.index),
      n_prompt_(request.prompt.ids.size()),
      n_reused_(prefix.size),
      sequence_(make_sequence(model, request, cache_dtype, prefix)),
      scorer_(request.options, request.prompt),
      continuation_(make_continuation(model, request)),
      on_prompt_(request.options.on_prompt),
      is_done_(!continuation_ && scorer_.is_done()) {}

std::size_t Running::n_reusable(const Request& request) {
  return PromptScorer(request.options, request.prompt).position();
}

std::size_t Running::end() const noexcept {
  return is_in_prompt() ? scorer_.n_evaluated() : sequence_.tokens().size();
}

/// The first token whose logits are still to come.
std::size_t Running::wanted() const noexcept {
  return scorer_.is_done() ? sequence_.tokens().size() - 1 : scorer_.position();
}

std::size_t Running::reopen() {
  sequence_.reopen(wanted());
  return end() - sequence_.cache().size();
}

void Running::take(MatrixView<const float> logits, const BatchCallback& on_token) {
  if (is_in_prompt()) report_prompt();
  for (std::size_t row = 0; row < logits.rows && !is_done_; ++row) {
    if (scorer_.is_done()) {
      generate(logits.row(row), on_token);
    } else {
      scorer_.score(sequence_.tokens(), logits.row(row));
      is_done_ |= scorer_.is_done() && !continuation_;
    }
  }
}

void Running::report_prompt() {
  const std::size_t n_done = sequence_.cache().size() - n_reused_;
  if (on_prompt_ && !on_prompt_({n_done, end() - n_reused_})) is_done_ = true;
}

void Running::generate(std::span<const float> logits, const BatchCallback& on_token) {
  const TokenEvent& event = continuation_->advance(logits);
  sequence_.push(event.id);
  is_done_ = event.finish.has_value();
  if (!on_token(index_, event)) is_done_ = true;
}

}  // namespace mixtral::detail

#include "mixtral/generate/generation.hpp"

#include <utility>

#include "generate/generation_state.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {
namespace detail {

GenerationState::GenerationState(std::shared_ptr<ContextState> context,
                                 const GenerateOptions& options, const Prompt& prompt)
    : context_(std::move(context)),
      continuation_(context_->model(), options, prompt),
      scorer_(options, prompt),
      on_prompt_(options.on_prompt),
      n_prompt_(prompt.ids.size()) {
  if (!scorer_.is_done()) context_->make_room_for_all_logits();
  context_->edit().become(prompt.ids);
  n_edits_ = context_->n_edits();
}

std::optional<TokenEvent> GenerationState::next() {
  if (finish()) return std::nullopt;
  require_own_context();
  const std::span<const float> logits = evaluate();
  if (finish()) return std::nullopt;
  const TokenEvent& event = continuation_.advance(logits);
  context_->edit().push(event.id);
  n_edits_ = context_->n_edits();
  return event;
}

void GenerationState::require_own_context() const {
  if (context_->n_edits() != n_edits_) {
    throw Error(ErrorCode::invalid_argument,
                "generation: its context has been used for something else since it began");
  }
}

/// Logits after everything in the context; nothing of use when the generation ends here.
std::span<const float> GenerationState::evaluate() {
  const Sequence& sequence = context_->sequence();
  const bool is_prompt = sequence.tokens().size() == n_prompt_;
  const std::size_t end = is_prompt ? scorer_.n_evaluated() : sequence.tokens().size();
  context_->reopen(first_wanted());
  const std::size_t begin = sequence.cache().size();
  MatrixView<const float> logits;
  while (sequence.cache().size() < end) {
    logits = context_->evaluate_chunk(end, first_wanted());
    if (is_prompt && on_prompt_ && !on_prompt_({sequence.cache().size() - begin, end - begin})) {
      cancel();
      return {};
    }
    score_prompt(logits);
  }
  if (end < sequence.tokens().size()) {
    continuation_.end();
    return {};
  }
  return logits.row(logits.rows - 1);
}

/// The first token whose logits are still to come.
std::size_t GenerationState::first_wanted() const noexcept {
  return scorer_.is_done() ? context_->sequence().tokens().size() - 1 : scorer_.position();
}

/// Scores the tokens of the prompt that `logits` predict.
void GenerationState::score_prompt(MatrixView<const float> logits) {
  for (std::size_t row = 0; row < logits.rows && !scorer_.is_done(); ++row) {
    scorer_.score(context_->sequence().tokens(), logits.row(row));
  }
}

}  // namespace detail

std::string_view name_of(FinishReason reason) noexcept {
  switch (reason) {
    case FinishReason::eos:
      return "eos";
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::cancelled:
      return "cancelled";
  }
  return "?";
}

Generation::Generation(std::unique_ptr<detail::GenerationState> state) noexcept
    : state_(std::move(state)) {}

Generation::~Generation() = default;
Generation::Generation(Generation&&) noexcept = default;
Generation& Generation::operator=(Generation&&) noexcept = default;

std::optional<TokenEvent> Generation::next() { return state_->next(); }

std::optional<FinishReason> Generation::finish_reason() const noexcept { return state_->finish(); }

std::size_t Generation::n_prompt() const noexcept { return state_->n_prompt(); }

Completion Generation::run(const TokenCallback& on_token) {
  Completion completion;
  while (const std::optional<TokenEvent> event = next()) {
    completion.text += event->text;
    completion.ids.push_back(event->id);
    if (on_token && !on_token(*event) && !event->finish) state_->cancel();
  }
  completion.finish = *finish_reason();
  return completion;
}

}  // namespace mixtral

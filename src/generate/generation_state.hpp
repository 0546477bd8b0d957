// One generation in a context.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "generate/context_state.hpp"
#include "generate/continuation.hpp"
#include "generate/prompt_scorer.hpp"

namespace mixtral::detail {

class GenerationState {
 public:
  /// Throws Error for bad options; then the context is as it was. Else it holds `prompt`, which has
  /// been fitted to it.
  GenerationState(std::shared_ptr<ContextState> context, const GenerateOptions& options,
                  const Prompt& prompt);

  std::optional<TokenEvent> next();
  std::optional<FinishReason> finish() const noexcept { return continuation_.finish(); }
  void cancel() noexcept { continuation_.cancel(); }
  std::size_t n_prompt() const noexcept { return n_prompt_; }

 private:
  void require_own_context() const;
  std::span<const float> evaluate();
  std::size_t first_wanted() const noexcept;
  void score_prompt(MatrixView<const float> logits);

  std::shared_ptr<ContextState> context_;
  Continuation continuation_;
  PromptScorer scorer_;
  std::function<bool(const PromptProgress&)> on_prompt_;
  std::size_t n_prompt_;
  std::uint64_t n_edits_;  // of the context, when this generation last used it
};

}  // namespace mixtral::detail

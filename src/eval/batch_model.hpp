// A model of this library, asked many things at once.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/language_model.hpp"
#include "mixtral/generate/batch.hpp"
#include "mixtral/generate/model.hpp"
#include "mixtral/generate/score.hpp"

namespace mixtral::eval {

/// The ids of a prompt and of its continuation as the harness splits them: white space at the end of
/// the context goes to the continuation, and both are encoded as one text, of which the context gets
/// as many tokens as it has alone. `begin` (BOS, or nothing) comes first; an empty context is BOS.
mixtral::ScoreRequest split_tokens(const Tokenizer& tokenizer, std::span<const TokenId> begin,
                                   std::string_view context, std::string_view continuation);

/// Keeps what prompts have in common from one call to the next, so shared examples are computed once.
/// Results don't depend on how many run at a time.
class BatchModel final : public LanguageModel {
 public:
  /// `adds_bos`: prompts begin with BOS. Throws as Batch does, and Error(unsupported) for a model
  /// without tokenizer.
  BatchModel(const Model& model, const BatchOptions& options, bool adds_bos);

  std::vector<Likelihood> score(std::span<const ScoreRequest> requests,
                                const ProgressCallback& on_progress) override;
  std::vector<std::string> generate(std::span<const std::string> contexts,
                                    std::span<const std::string> stop_strings,
                                    std::size_t max_tokens,
                                    const ProgressCallback& on_progress) override;

  /// Positions that a prompt and its continuation can have.
  std::size_t n_ctx() const noexcept { return batch_.n_ctx(); }

  /// Prompts that had more, and lost their beginning.
  std::size_t n_cut() const noexcept { return n_cut_; }

  /// Of the tokens of all prompts, those that were computed and those that were shared.
  BatchStats stats() const noexcept { return batch_.stats(); }

 private:
  void cut(std::vector<TokenId>& context, std::size_t n_after);

  const Tokenizer& tokenizer_;
  std::vector<TokenId> begin_;
  Batch batch_;
  std::size_t n_cut_ = 0;
};

}  // namespace mixtral::eval

// One request of a batch, from its turn to its end.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>

#include "generate/continuation.hpp"
#include "generate/prefix_cache.hpp"
#include "generate/prompt_scorer.hpp"
#include "generate/sequence.hpp"
#include "mixtral/generate/batch.hpp"

namespace mixtral::detail {

/// A request that waits for its turn, or has it.
struct Request {
  std::size_t index;
  Prompt prompt;
  GenerateOptions options;

  /// Positions that it takes in the cache.
  std::size_t n_positions() const noexcept { return prompt.ids.size() + prompt.max_new_tokens; }
};

/// A request whose turn it is: its own sequence, sampler and stop state.
class Running {
 public:
  /// Begins with what `prefix` holds, which is at most n_reusable(request).
  Running(const Model& model, const Request& request, DType cache_dtype,
          const EvaluatedPrefix& prefix);

  /// Positions of the prompt of `request` whose logits don't matter.
  static std::size_t n_reusable(const Request& request);

  std::size_t index() const noexcept { return index_; }
  bool is_done() const noexcept { return is_done_; }
  bool is_in_prompt() const noexcept { return sequence_.tokens().size() == n_prompt_; }

  /// What it holds, and will hold before it generates anything more.
  std::span<const TokenId> planned() const noexcept { return sequence_.tokens().first(end()); }
  const KvCache& cache() const noexcept { return sequence_.cache(); }

  /// Tokens that can go through the network now, at least one unless it is done. Those whose
  /// logits were lost, to a failure, count again.
  std::size_t reopen();

  /// The next `n_tokens` of them.
  BatchItem next_item(std::size_t n_tokens) { return sequence_.next_item(n_tokens, wanted()); }

  /// Takes the logits of the item that went through the network.
  void take(MatrixView<const float> logits, const BatchCallback& on_token);

  void cancel() noexcept { is_done_ = true; }

  /// Leaves what it has computed.
  Sequence release() && { return std::move(sequence_); }

 private:
  std::size_t end() const noexcept;
  std::size_t wanted() const noexcept;
  void report_prompt();
  void generate(std::span<const float> logits, const BatchCallback& on_token);

  std::size_t index_;
  std::size_t n_prompt_;
  std::size_t n_reused_;
  Sequence sequence_;
  PromptScorer scorer_;
  std::optional<Continuation> continuation_;  // none when the prompt is only scored
  std::function<bool(const PromptProgress&)> on_prompt_;
  bool is_done_;
};

}  // namespace mixtral::detail

// What a Context and the generations in it share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "generate/sequence.hpp"
#include "mixtral/generate/model.hpp"

namespace mixtral::detail {

/// Checks `options` against the model and sets what is unset.
ContextOptions resolve(const Model& model, ContextOptions options);

std::shared_ptr<Executor> make_executor(const ContextOptions& options);

class ContextState {
 public:
  /// `options` are resolved. The executor is made from them.
  ContextState(const Model& model, const ContextOptions& options, Sequence sequence);

  const Model& model() const noexcept { return model_; }
  const ContextOptions& options() const noexcept { return options_; }
  const Sequence& sequence() const noexcept { return sequence_; }
  const Workspace& workspace() const noexcept { return workspace_; }

  /// For changing the sequence. Each change counts, so that a generation can tell its own from
  /// others'.
  Sequence& edit() noexcept {
    ++n_edits_;
    return sequence_;
  }
  std::uint64_t n_edits() const noexcept { return n_edits_; }

  /// Sequence::reopen, which changes no token.
  void reopen(std::size_t first) { sequence_.reopen(first); }

  /// Runs the next chunk of the pending tokens before number `end`, at least one, through the
  /// network. Returns the logits after those of them that are number `wanted` or later.
  MatrixView<const float> evaluate_chunk(std::size_t end, std::size_t wanted);

  /// Grows the workspace to a row of logits for each token of a chunk.
  void make_room_for_all_logits();

 private:
  Workspace make_workspace(std::size_t max_logits) const;
  std::size_t max_tokens() const noexcept;

  Model model_;
  ContextOptions options_;
  std::shared_ptr<Executor> executor_;
  Sequence sequence_;
  Workspace workspace_;
  std::uint64_t n_edits_ = 0;
};

}  // namespace mixtral::detail

#include "generate/context_state.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "mixtral/core/error.hpp"
#include "mixtral/core/thread_pool.hpp"

namespace mixtral::detail {

ContextOptions resolve(const Model& model, ContextOptions options) {
  constexpr std::size_t kDefaultContext = 4096;
  const std::size_t max_position = model.config().max_position;
  if (options.n_ctx > max_position) {
    throw Error(ErrorCode::invalid_argument, "n_ctx: expected at most the model's max_position " +
                                                 std::to_string(max_position) + ", found " +
                                                 std::to_string(options.n_ctx));
  }
  if (options.chunk_size == 0) {
    throw Error(ErrorCode::invalid_argument, "chunk_size: expected at least 1, found 0");
  }
  if (options.n_ctx == 0) options.n_ctx = std::min(kDefaultContext, max_position);
  if (!options.cache_dtype) {
    options.cache_dtype = default_cache_dtype(model.network().precision());
  }
  return options;
}

std::shared_ptr<Executor> make_executor(const ContextOptions& options) {
  return options.executor ? options.executor : std::make_shared<ThreadPool>(options.n_threads);
}

ContextState::ContextState(const Model& model, const ContextOptions& options, Sequence sequence)
    : model_(model),
      options_(options),
      executor_(make_executor(options)),
      sequence_(std::move(sequence)),
      workspace_(make_workspace(1)) {}

std::size_t ContextState::max_tokens() const noexcept {
  return std::min(options_.chunk_size, options_.n_ctx);
}

Workspace ContextState::make_workspace(std::size_t max_logits) const {
  return Workspace(model_.config(), max_tokens(), max_logits, options_.n_ctx,
                   executor_->n_threads());
}

void ContextState::make_room_for_all_logits() {
  if (workspace_.max_logits() < max_tokens()) workspace_ = make_workspace(max_tokens());
}

MatrixView<const float> ContextState::evaluate_chunk(std::size_t end, std::size_t wanted) {
  const std::size_t n_tokens = std::min(end - sequence_.cache().size(), max_tokens());
  const BatchItem item = sequence_.next_item(n_tokens, wanted);
  return model_.network().forward({&item, 1}, workspace_, *executor_);
}

}  // namespace mixtral::detail

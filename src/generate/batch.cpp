#include "mixtral/generate/batch.hpp"

#include <algorithm>
#include <deque>
#include <utility>

#include "generate/context_state.hpp"
#include "generate/continuation.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

struct WaitingPrompt {
  std::size_t index;
  detail::Prompt prompt;
  GenerateOptions options;
};

/// A prompt whose turn it is: its own sequence, sampler and stop state.
struct Running {
  std::size_t index;
  std::size_t n_prompt;
  detail::Sequence sequence;
  detail::Continuation continuation;
  std::function<bool(const PromptProgress&)> on_prompt;
  bool is_done = false;

  bool is_in_prompt() const noexcept { return sequence.tokens().size() == n_prompt; }

  void report_prompt() {
    const std::size_t n_done = n_prompt - sequence.pending().size();
    if (on_prompt && !on_prompt({n_done, n_prompt})) is_done = true;
  }

  void advance(std::span<const float> logits, const BatchCallback& on_token) {
    const TokenEvent& event = continuation.advance(logits);
    sequence.push(event.id);
    is_done = !on_token(index, event) || event.finish;
  }
};

}  // namespace

struct Batch::State {
  State(const Model& model_, const BatchOptions& options_)
      : model(model_),
        options(detail::resolve(model_, options_.context)),
        max_sequences(options_.max_sequences),
        max_tokens(std::max(options.chunk_size, max_sequences)),
        executor(detail::make_executor(options)),
        workspace(model.config(), max_tokens, max_sequences, options.n_ctx, executor->n_threads()) {
  }

  std::size_t add(detail::Prompt prompt, const GenerateOptions& generate_options) {
    detail::fit(prompt, model, generate_options, options.n_ctx);
    detail::Continuation(model, generate_options, prompt);  // throws now for bad options
    waiting.push_back({n_added, std::move(prompt), generate_options});
    return n_added++;
  }

  void admit_waiting() {
    while (!waiting.empty() && running.size() < max_sequences) {
      WaitingPrompt& next = waiting.front();
      const std::size_t n_prompt = next.prompt.ids.size();
      detail::Sequence sequence(model.config(), n_prompt + next.prompt.max_new_tokens,
                                *options.cache_dtype);
      sequence.append(next.prompt.ids);
      running.push_back(
          std::make_unique<Running>(Running{next.index, n_prompt, std::move(sequence),
                                            detail::Continuation(model, next.options, next.prompt),
                                            std::move(next.options.on_prompt)}));
      waiting.pop_front();
    }
  }

  /// Fills `items` from the front of `running`; sequences that don't fit wait for the next step.
  void make_items() {
    // A long prompt must not hold up those that generate already.
    std::stable_partition(running.begin(), running.end(),
                          [](const auto& member) { return !member->is_in_prompt(); });
    items.clear();
    std::size_t n_left = max_tokens;
    for (const auto& member : running) {
      if (n_left == 0) break;
      member->sequence.reopen_last();
      const std::span<const TokenId> pending = member->sequence.pending();
      const std::size_t n_tokens = std::min(n_left, pending.size());
      items.push_back({&member->sequence.cache(), pending.first(n_tokens),
                       n_tokens == pending.size() ? LogitsFor::last : LogitsFor::none});
      n_left -= n_tokens;
    }
  }

  bool step(const BatchCallback& on_token) {
    admit_waiting();
    if (running.empty()) return false;
    make_items();
    const MatrixView<const float> logits = model.network().forward(items, workspace, *executor);
    std::size_t row = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      Running& member = *running[i];
      if (member.is_in_prompt()) member.report_prompt();
      if (items[i].logits == LogitsFor::none) continue;
      if (!member.is_done) member.advance(logits.row(row), on_token);
      ++row;
    }
    std::erase_if(running, [](const auto& member) { return member->is_done; });
    return true;
  }

  Model model;
  ContextOptions options;
  std::size_t max_sequences;
  std::size_t max_tokens;
  std::shared_ptr<Executor> executor;
  Workspace workspace;
  std::deque<WaitingPrompt> waiting;
  std::vector<std::unique_ptr<Running>> running;
  std::vector<BatchItem> items;  // of this step: for the first of `running`
  std::size_t n_added = 0;
};

Batch::Batch(const Model& model, const BatchOptions& options) {
  if (options.max_sequences == 0) {
    throw Error(ErrorCode::invalid_argument, "max_sequences: expected at least 1, found 0");
  }
  state_ = std::make_unique<State>(model, options);
}

Batch::~Batch() = default;
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;

std::size_t Batch::add(std::string_view prompt, const GenerateOptions& options) {
  return state_->add(detail::make_prompt(state_->model, {}, prompt), options);
}

std::size_t Batch::add(std::span<const TokenId> prompt, const GenerateOptions& options) {
  return state_->add(detail::make_prompt(state_->model, {}, prompt), options);
}

std::size_t Batch::add_chat(std::span<const ChatMessage> messages, const GenerateOptions& options,
                            std::string_view tools) {
  return state_->add(detail::make_chat_prompt(state_->model, messages, tools), options);
}

bool Batch::step(const BatchCallback& on_token) { return state_->step(on_token); }

std::vector<Completion> generate_batch(const Model& model, std::span<const std::string> prompts,
                                       const GenerateOptions& options, const BatchOptions& batch,
                                       const BatchCallback& on_token) {
  Batch running(model, batch);
  for (const std::string& prompt : prompts) running.add(prompt, options);

  std::vector<Completion> completions(prompts.size());
  const BatchCallback collect = [&](std::size_t index, const TokenEvent& event) {
    Completion& completion = completions[index];
    completion.text += event.text;
    completion.ids.push_back(event.id);
    if (event.finish) completion.finish = *event.finish;
    return !on_token || on_token(index, event);
  };
  while (running.step(collect)) {
  }
  return completions;
}

}  // namespace mixtral

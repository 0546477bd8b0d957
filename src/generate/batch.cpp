#include "mixtral/generate/batch.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <exception>
#include <utility>

#include "generate/context_state.hpp"
#include "generate/running.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {

using detail::EvaluatedPrefix;
using detail::Request;
using detail::Running;

struct Batch::State {
  State(const Model& model_, const BatchOptions& options_)
      : model(model_),
        options(options_),
        context(detail::resolve(model_, options_.context)),
        max_tokens(std::max(context.chunk_size, options.max_sequences)),
        executor(detail::make_executor(context)),
        workspace(model.config(), max_tokens, max_tokens, context.n_ctx, executor->n_threads()),
        prefixes(model.config(), *context.cache_dtype, options.prefix_cache_bytes) {
    running.reserve(options.max_sequences);
    in_prompt.reserve(options.max_sequences);
    of_step.reserve(options.max_sequences);
    items.reserve(options.max_sequences);
  }

  std::size_t add(detail::Prompt prompt, const GenerateOptions& generate_options) {
    detail::fit(prompt, model, generate_options, context.n_ctx);
    detail::Continuation(model, generate_options, prompt);  // throws now for bad options
    Request request{n_added, std::move(prompt), generate_options};
    require_room(request);
    waiting.push_back(std::move(request));
    return n_added++;
  }

  std::size_t bytes_for(const Request& request) const {
    return KvCache::bytes_for(model.config(), request.n_positions(), *context.cache_dtype);
  }

  void require_room(const Request& request) const {
    const std::size_t n_bytes = bytes_for(request);
    if (options.max_cache_bytes == 0 || n_bytes <= options.max_cache_bytes) return;
    throw Error(ErrorCode::capacity, "batch: expected requests within max_cache_bytes = " +
                                         std::to_string(options.max_cache_bytes) +
                                         ", found one of " + std::to_string(n_bytes) + " bytes");
  }

  /// Drops kept prefixes until `n_bytes` more are within the limit. False, and none is dropped, when
  /// running sequences leave no room.
  bool make_room(std::size_t n_bytes) {
    if (options.max_cache_bytes == 0) return true;
    const std::size_t n_needed = running_bytes() + n_bytes;
    if (n_needed > options.max_cache_bytes) return false;
    while (n_needed + prefixes.bytes() > options.max_cache_bytes) prefixes.evict();
    return true;
  }

  std::size_t running_bytes() const noexcept {
    std::size_t n_bytes = 0;
    for (const auto& member : running) n_bytes += member->cache().bytes();
    return n_bytes;
  }

  bool shares_prefixes() const noexcept { return options.prefix_cache_bytes > 0; }

  /// The longest beginning of `ids` that has been computed.
  EvaluatedPrefix find_prefix(std::span<const TokenId> ids) {
    EvaluatedPrefix best;
    if (!shares_prefixes()) return best;
    best = prefixes.find(ids);
    for (const auto& member : running) {
      const KvCache& cache = member->cache();
      const std::size_t shared = detail::common_prefix(ids, member->planned().first(cache.size()));
      if (shared >= std::max(best.size + 1, detail::kMinShared)) best = {&cache, shared};
    }
    return best;
  }

  /// Whether a running prompt is about to compute more of the beginning of `ids` than there is.
  bool is_underway(std::span<const TokenId> ids) {
    if (!shares_prefixes()) return false;
    const std::size_t n_ready = find_prefix(ids).size;
    return std::any_of(running.begin(), running.end(), [&](const auto& member) {
      return detail::common_prefix(ids, member->planned()) >= n_ready + detail::kMinShared;
    });
  }

  /// In the order of their coming, except that one may overtake those which wait for a prefix.
  void admit_waiting() {
    const std::size_t look_ahead = 4 * options.max_sequences;
    for (std::size_t i = 0; i < std::min(waiting.size(), look_ahead);) {
      if (running.size() == options.max_sequences) return;
      const Request& next = waiting[i];
      const auto reusable = std::span(next.prompt.ids).first(Running::n_reusable(next));
      if (is_underway(reusable)) {
        ++i;
        continue;
      }
      if (!make_room(bytes_for(next))) return;
      start(next, find_prefix(reusable));
      waiting.erase(waiting.begin() + i);
    }
  }

  void start(const Request& request, const EvaluatedPrefix& prefix) {
    running.push_back(std::make_unique<Running>(model, request, *context.cache_dtype, prefix));
    n_prompt_reused += prefix.size;
  }

  void add_item(Running& member, std::size_t n_tokens) {
    items.push_back(member.next_item(n_tokens));
    of_step.push_back(&member);
  }

  /// One token of each sequence that generates; the rest of the step is for prompts.
  void make_items() {
    items.clear();
    of_step.clear();
    in_prompt.clear();
    std::size_t n_left = max_tokens;
    for (const auto& member : running) {
      const std::size_t n_pending = member->is_done() ? 0 : member->reopen();
      if (n_pending == 0) continue;
      if (member->is_in_prompt()) {
        in_prompt.push_back({n_pending, member.get()});
      } else {
        add_item(*member, n_pending);
        n_left -= n_pending;
      }
    }
    share_out(n_left);
  }

  /// Each prompt gets the same share of `n_left` tokens, and what short ones leave of theirs goes to
  /// longer ones: no prompt has to wait for another to be read.
  void share_out(std::size_t n_left) {
    std::sort(in_prompt.begin(), in_prompt.end(), [](const auto& a, const auto& b) {
      return a.n_pending != b.n_pending ? a.n_pending < b.n_pending
                                        : a.member->index() < b.member->index();
    });
    for (std::size_t i = 0; i < in_prompt.size(); ++i) {
      const std::size_t share = n_left / (in_prompt.size() - i);
      const std::size_t n_tokens = std::min(in_prompt[i].n_pending, share);
      add_item(*in_prompt[i].member, n_tokens);
      n_left -= n_tokens;
    }
  }

  void hand_out(MatrixView<const float> logits, const BatchCallback& on_token) {
    std::size_t row = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      Running& member = *of_step[i];
      const std::size_t n_rows = std::min(items[i].logits.n_last, items[i].tokens.size());
      const MatrixView<const float> rows(logits.data + row * logits.stride, n_rows, logits.cols);
      if (member.is_in_prompt()) n_prompt_computed += items[i].tokens.size();
      if (!member.is_done()) member.take(rows, on_token);
      row += n_rows;
    }
  }

  bool step(const BatchCallback& on_token) {
    remove_done();
    admit_waiting();
    if (running.empty()) return false;
    make_items();
    if (!items.empty()) {
      const MatrixView<const float> logits = model.network().forward(items, workspace, *executor);
      is_stepping = true;
      try {
        hand_out(logits, on_token);
      } catch (...) {
        is_stepping = false;
        throw;
      }
      is_stepping = false;
    }
    remove_done();
    return true;
  }

  void cancel(std::size_t index) {
    std::erase_if(waiting, [&](const Request& request) { return request.index == index; });
    for (const auto& member : running) {
      if (member->index() == index) member->cancel();
    }
    if (!is_stepping) remove_done();
  }

  bool holds(std::size_t index) const {
    const auto is_it = [&](const Request& request) { return request.index == index; };
    return std::any_of(waiting.begin(), waiting.end(), is_it) ||
           std::any_of(running.begin(), running.end(), [&](const auto& member) {
             return member->index() == index && !member->is_done();
           });
  }

  void remove_done() noexcept {
    std::erase_if(running, [&](const auto& member) {
      if (member->is_done()) keep_prefix(std::move(*member).release());
      return member->is_done();
    });
  }

  void keep_prefix(detail::Sequence sequence) noexcept {
    if (!shares_prefixes()) return;
    try {
      prefixes.keep(std::move(sequence));
    } catch (const std::exception&) {  // no memory for it: then it is computed again
    }
  }

  BatchStats stats() const noexcept {
    BatchStats stats{.n_running = running.size(), .n_waiting = waiting.size()};
    for (const auto& member : running) stats.n_positions += member->cache().size();
    stats.cache_bytes = running_bytes();
    stats.prefix_bytes = prefixes.bytes();
    stats.n_prompt_computed = n_prompt_computed;
    stats.n_prompt_reused = n_prompt_reused;
    return stats;
  }

  Model model;
  BatchOptions options;
  ContextOptions context;  // resolved
  std::size_t max_tokens;  // of one step
  std::shared_ptr<Executor> executor;
  Workspace workspace;
  detail::PrefixCache prefixes;
  std::deque<Request> waiting;
  std::vector<std::unique_ptr<Running>> running;
  std::size_t n_added = 0;
  std::uint64_t n_prompt_computed = 0;
  std::uint64_t n_prompt_reused = 0;
  bool is_stepping = false;  // callbacks are running

  // Of this step:
  struct InPrompt {
    std::size_t n_pending;
    Running* member;
  };
  std::vector<InPrompt> in_prompt;
  std::vector<BatchItem> items;
  std::vector<Running*> of_step;  // whose items they are
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

const Model& Batch::model() const noexcept { return state_->model; }

std::size_t Batch::n_ctx() const noexcept { return state_->context.n_ctx; }

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

void Batch::cancel(std::size_t index) { state_->cancel(index); }

bool Batch::holds(std::size_t index) const noexcept { return state_->holds(index); }

std::size_t Batch::n_running() const noexcept { return state_->running.size(); }

std::size_t Batch::n_waiting() const noexcept { return state_->waiting.size(); }

BatchStats Batch::stats() const noexcept { return state_->stats(); }

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

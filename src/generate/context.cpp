#include "mixtral/generate/context.hpp"

#include <string>
#include <utility>

#include "generate/generation_state.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

Generation start(const std::shared_ptr<detail::ContextState>& context,
                 const GenerateOptions& options, detail::Prompt prompt) {
  detail::fit(prompt, context->model(), options, context->options().n_ctx);
  return Generation(std::make_unique<detail::GenerationState>(context, options, prompt));
}

detail::Sequence make_sequence(const Model& model, const ContextOptions& options) {
  return {model.config(), options.n_ctx, *options.cache_dtype};
}

std::shared_ptr<detail::ContextState> make_state(const Model& model,
                                                 const ContextOptions& options) {
  const ContextOptions resolved = detail::resolve(model, options);
  return std::make_shared<detail::ContextState>(model, resolved, make_sequence(model, resolved));
}

void require_ids_that_fit(std::span<const TokenId> ids, const Context& context) {
  detail::require_ids(ids, context.model(), "eval");
  const std::size_t n_room = context.capacity() - context.size();
  if (ids.size() > n_room) {
    throw Error(ErrorCode::capacity, "eval: expected at most the " + std::to_string(n_room) +
                                         " tokens that the context has room for, found " +
                                         std::to_string(ids.size()));
  }
}

/// Runs the next chunk of all pending tokens.
MatrixView<const float> evaluate(detail::ContextState& context, std::size_t wanted) {
  return context.evaluate_chunk(context.sequence().tokens().size(), wanted);
}

bool has_pending(const detail::ContextState& context) noexcept {
  return !context.sequence().pending().empty();
}

/// Appends `ids` and runs `evaluate`; when that throws, forgets them again.
template <class F>
void append_and(detail::ContextState& context, std::span<const TokenId> ids, F&& evaluate) {
  const std::size_t n_held = context.sequence().tokens().size();
  context.edit().append(ids);
  try {
    evaluate();
  } catch (...) {
    context.edit().rewind(n_held);
    throw;
  }
}

}  // namespace

Context::Context(const Model& model, const ContextOptions& options)
    : Context(make_state(model, options)) {}

Context::Context(std::shared_ptr<detail::ContextState> state) noexcept : state_(std::move(state)) {}

Context::~Context() = default;
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;

const Model& Context::model() const noexcept { return state_->model(); }

std::span<const TokenId> Context::tokens() const noexcept { return state_->sequence().tokens(); }

std::size_t Context::capacity() const noexcept { return state_->sequence().capacity(); }

std::size_t Context::bytes() const noexcept {
  return state_->sequence().cache().bytes() + state_->workspace().bytes();
}

Generation Context::generate(std::string_view prompt, const GenerateOptions& options) {
  return start(state_, options, detail::make_prompt(model(), tokens(), prompt));
}

Generation Context::generate(std::span<const TokenId> prompt, const GenerateOptions& options) {
  return start(state_, options, detail::make_prompt(model(), tokens(), prompt));
}

Generation Context::chat(std::span<const ChatMessage> messages, const GenerateOptions& options,
                         std::string_view tools) {
  return start(state_, options, detail::make_chat_prompt(model(), messages, tools));
}

std::span<const float> Context::eval(std::span<const TokenId> ids) {
  require_ids_that_fit(ids, *this);
  MatrixView<const float> logits;
  append_and(*state_, ids, [&] {
    while (has_pending(*state_)) logits = evaluate(*state_, size() - 1);
  });
  return logits.row(0);
}

void Context::eval(std::span<const TokenId> ids, const LogitsCallback& on_logits) {
  require_ids_that_fit(ids, *this);
  state_->make_room_for_all_logits();
  while (has_pending(*state_)) evaluate(*state_, size());
  append_and(*state_, ids, [&] {
    for (std::size_t first = 0; has_pending(*state_);) {
      const MatrixView<const float> logits = evaluate(*state_, 0);
      on_logits(first, logits);
      first += logits.rows;
    }
  });
}

void Context::rewind(std::size_t size) { state_->edit().rewind(size); }

Context Context::clone() const {
  return Context(std::make_shared<detail::ContextState>(model(), state_->options(),
                                                        state_->sequence().clone()));
}

}  // namespace mixtral

// One sequence of tokens and the model's memory of it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "mixtral/generate/generation.hpp"
#include "mixtral/generate/model.hpp"
#include "mixtral/generate/options.hpp"

namespace mixtral {

namespace detail {
class ContextState;
}

/// Sees the logits [n_rows, vocab] after the tokens at `first`, `first` + 1, ... of what is
/// evaluated. Valid during the call.
using LogitsCallback = std::function<void(std::size_t first, MatrixView<const float> logits)>;

/// Holds a sequence, appends to it, and generates its continuation. One thread at a time; contexts
/// of one model may run in different threads. Whatever a call throws, the context stays usable.
class Context {
 public:
  /// Throws Error(invalid_argument) for options out of range and Error(out_of_memory).
  explicit Context(const Model& model, const ContextOptions& options = {});
  ~Context();
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;

  const Model& model() const noexcept;

  /// The tokens held.
  std::span<const TokenId> tokens() const noexcept;
  std::size_t size() const noexcept { return tokens().size(); }
  std::size_t capacity() const noexcept;  ///< n_ctx

  /// Bytes of the key/value cache and of the scratch buffers. Memory is touched only as it fills.
  std::size_t bytes() const noexcept;

  /// Appends `ids` and returns the logits [vocab] that follow the last of them, valid until the
  /// context is used again. Throws Error(invalid_argument) for no ids or one out of range,
  /// Error(capacity) when they don't fit; then nothing has changed.
  std::span<const float> eval(std::span<const TokenId> ids);

  /// The same for the logits after every one of `ids`, chunk by chunk.
  void eval(std::span<const TokenId> ids, const LogitsCallback& on_logits);

  /// Appends `prompt` and generates what follows. An empty context starts with BOS, so "" means BOS
  /// alone; in any other, `prompt` is encoded as a text of its own, and "" goes on from what is
  /// held. Throws Error(capacity) when prompt and new tokens exceed n_ctx (unless options.overflow
  /// says otherwise), Error(invalid_argument) for bad options, Error(unsupported) without a
  /// tokenizer; then nothing has changed. The prompt is held from this call on and computed by the
  /// first `next`.
  Generation generate(std::string_view prompt, const GenerateOptions& options = {});

  /// Appends `prompt`, as it is, and generates what follows. Throws Error(invalid_argument) for no
  /// ids or one out of range.
  Generation generate(std::span<const TokenId> prompt, const GenerateOptions& options = {});

  /// Holds the conversation `messages`, from its beginning, instead of whatever it held, and
  /// generates the reply. The longest beginning that both have in common isn't computed again, so
  /// each turn of a chat costs its new messages only. Takes `tools` and throws as format_chat does.
  Generation chat(std::span<const ChatMessage> messages, const GenerateOptions& options = {},
                  std::string_view tools = {});

  /// Forgets every token from `size` on. Throws Error(invalid_argument) if size > size().
  void rewind(std::size_t size);

  /// An independent copy. It has its own thread pool, or shares the executor that was plugged in.
  Context clone() const;

 private:
  explicit Context(std::shared_ptr<detail::ContextState> state) noexcept;

  std::shared_ptr<detail::ContextState> state_;
};

}  // namespace mixtral

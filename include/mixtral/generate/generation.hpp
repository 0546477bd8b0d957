// Text as it is being generated.
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/generate/logprobs.hpp"

namespace mixtral {

enum class FinishReason {
  eos,        ///< the model ended its text
  stop,       ///< a stop string appeared
  length,     ///< max_new_tokens were generated
  cancelled,  ///< a callback asked to stop
};

/// "eos", "stop", "length" or "cancelled".
std::string_view name_of(FinishReason reason) noexcept;

/// One generated token.
struct TokenEvent {
  TokenId id;

  /// The text that became certain with this token: whole UTF-8 characters, possibly none (half a
  /// character, what may begin a stop string, EOS, or a model without tokenizer) or more than the
  /// token's own (what had been held back). Valid until the next token.
  std::string_view text;

  /// ln of the model's own probability of `id` (before bias, penalties, temperature and filters);
  /// NaN unless asked for.
  double logprob = std::numeric_limits<double>::quiet_NaN();

  /// The likeliest tokens, likeliest first, as many as asked for. Valid until the next token.
  std::span<const TokenLogprob> top_logprobs = {};

  /// Set on the last token.
  std::optional<FinishReason> finish = {};
};

/// Sees each token; returning false stops the generation after it.
using TokenCallback = std::function<bool(const TokenEvent&)>;

/// A finished generation.
struct Completion {
  std::string text;
  std::vector<TokenId> ids;  ///< every generated token, those of EOS and of a stop string included
  FinishReason finish = FinishReason::cancelled;
};

namespace detail {
class GenerationState;
}

/// A text in the making: each call of `next` runs the network once. Dropping it at any token is
/// fine and leaves its context usable, holding the prompt and the tokens generated so far. One
/// thread at a time, the same one as its context.
class Generation {
 public:
  explicit Generation(std::unique_ptr<detail::GenerationState> state) noexcept;
  ~Generation();
  Generation(Generation&&) noexcept;
  Generation& operator=(Generation&&) noexcept;

  /// The next token; nothing after the last, or when on_prompt cancelled. The first call processes
  /// the prompt. Throws Error(invalid_argument) when the context has been changed by anything
  /// else since this generation began, and whatever Mixtral::forward and Sampler::sample throw.
  std::optional<TokenEvent> next();

  /// Why it ended; unset while it goes on.
  std::optional<FinishReason> finish_reason() const noexcept;

  /// Tokens in the context before the first generated one.
  std::size_t n_prompt() const noexcept;

  /// Generates all that is left.
  Completion run(const TokenCallback& on_token = {});

  class Iterator;
  /// Iterates over the pieces of text, each non-empty and valid until the next.
  Iterator begin();
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  std::unique_ptr<detail::GenerationState> state_;
};

class Generation::Iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using difference_type = std::ptrdiff_t;
  using value_type = std::string_view;

  Iterator() = default;
  explicit Iterator(Generation& generation) : generation_(&generation) { ++*this; }

  std::string_view operator*() const noexcept { return event_->text; }
  Iterator& operator++() {
    do {
      event_ = generation_->next();
    } while (event_ && event_->text.empty());
    return *this;
  }
  void operator++(int) { ++*this; }
  bool operator==(std::default_sentinel_t) const noexcept { return !event_; }

 private:
  Generation* generation_ = nullptr;
  std::optional<TokenEvent> event_;
};

inline Generation::Iterator Generation::begin() { return Iterator(*this); }

}  // namespace mixtral

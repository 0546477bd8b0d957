// What a caller can choose about a context and about one generation.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mixtral/core/dtype.hpp"
#include "mixtral/core/executor.hpp"
#include "mixtral/generate/generation.hpp"
#include "mixtral/generate/sampler.hpp"
#include "mixtral/model/mixtral.hpp"

namespace mixtral {

/// Storage of keys and values where nothing else is asked for.
constexpr DType default_cache_dtype(Precision precision) noexcept {
  return precision == Precision::f32 ? DType::f32 : DType::f16;
}

/// How a sequence is held and computed.
struct ContextOptions {
  /// Tokens that a sequence can hold, prompt and generated text together. At most the model's
  /// max_position. 0 = 4096, or max_position where that is less.
  std::size_t n_ctx = 0;

  /// Storage of keys and values, one of kCacheDTypes; q8_0 takes half the memory of f16 and needs a head_dim
  /// that 32 divides. Unset = default_cache_dtype of the model's precision: f16, or f32.
  std::optional<DType> cache_dtype = {};

  /// Tokens of a prompt that go through the network at once. More is faster, up to a point, and
  /// takes more memory. >= 1.
  std::size_t chunk_size = 512;

  /// Threads of the context's own pool. 0 = as many as this process may use.
  std::size_t n_threads = 0;

  /// Runs the work instead of an own pool; n_threads is then ignored.
  std::shared_ptr<Executor> executor = {};
};

/// What to do when the prompt and the new tokens exceed n_ctx.
enum class Overflow {
  error,     ///< Error(capacity), before any work
  truncate,  ///< drop from the front what doesn't fit, but keep BOS where the text starts with it
};

struct PromptProgress {
  std::size_t done;   ///< tokens of the prompt that have been through the network
  std::size_t total;  ///< tokens of the prompt that had to go through it
};

/// What to generate, and when to stop.
struct GenerateOptions {
  /// 0 = what the model's generation_config.json says, else all that fits n_ctx; with
  /// on_prompt_token, none: the prompt is scored, and that is all.
  std::size_t max_new_tokens = 0;

  /// Unset = Model::default_sampling().
  std::optional<SamplingOptions> sampling = {};

  /// The text ends before the first of these (see StopMatcher). Needs a tokenizer.
  std::vector<std::string> stop = {};

  /// Reports the log-probability of each token...
  bool logprobs = false;
  /// ...and those of so many of its likeliest alternatives. Implies `logprobs` unless 0.
  std::size_t top_logprobs = 0;

  Overflow overflow = Overflow::error;

  /// Called after each chunk of the prompt; returning false cancels the generation.
  std::function<bool(const PromptProgress&)> on_prompt = {};

  /// Called in order for each token of the prompt from number prompt_logprobs_from on that has one
  /// before it, with its logprob and as many top_logprobs as asked for. Events have no text; where
  /// nothing is generated, that of the last token says FinishReason::length.
  std::function<void(const TokenEvent&)> on_prompt_token = {};

  /// What lies before it needs no logits and may come from a cache. In a context that holds tokens
  /// already, the prompt begins with them.
  std::size_t prompt_logprobs_from = 0;
};

}  // namespace mixtral

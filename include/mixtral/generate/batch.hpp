// Several generations at once: one forward pass serves a token of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/generate/generation.hpp"
#include "mixtral/generate/model.hpp"
#include "mixtral/generate/options.hpp"

namespace mixtral {

struct BatchOptions {
  ContextOptions context = {};     ///< n_ctx is per sequence; chunk_size is shared by all
  std::size_t max_sequences = 32;  ///< computed at once; the others wait for their turn. >= 1

  /// Memory for the keys and values of finished sequences. A prompt that begins as one of them did,
  /// or as one that is running, goes on from a copy. 0 = every prompt is computed from its
  /// beginning.
  std::size_t prefix_cache_bytes = std::size_t{1} << 30;

  /// Limits the keys and values of all sequences, kept ones included, which go first: a request
  /// waits until there is room for its prompt and all its new tokens. 0 = no limit.
  std::size_t max_cache_bytes = 0;
};

/// How a batch is doing.
struct BatchStats {
  std::size_t n_running = 0;
  std::size_t n_waiting = 0;
  std::size_t n_positions = 0;          ///< in the caches of running sequences
  std::size_t cache_bytes = 0;          ///< reserved for running sequences
  std::size_t prefix_bytes = 0;         ///< of finished ones, kept for others
  std::uint64_t n_prompt_computed = 0;  ///< tokens of prompts, since the batch was made
  std::uint64_t n_prompt_reused = 0;    ///< those that didn't have to be computed
};

/// Sees each token of the prompt number `index`; returning false stops that one.
using BatchCallback = std::function<bool(std::size_t index, const TokenEvent& event)>;

/// Generates texts side by side. Each has its own sampler, stop strings and limits, and leaves when
/// it finishes; new ones may join at any time. A text doesn't depend on its neighbours, nor on
/// whether a beginning of its prompt had been computed before: with the native back end it is what
/// Context::generate gives alone, bit for bit. One thread at a time.
///
/// Each step takes a token of every sequence that generates; what is left of chunk_size is shared
/// out among the prompts that are being read, in equal parts where they are long.
class Batch {
 public:
  /// Throws Error(invalid_argument) for options out of range and Error(out_of_memory).
  explicit Batch(const Model& model, const BatchOptions& options = {});
  ~Batch();
  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;

  const Model& model() const noexcept;
  std::size_t n_ctx() const noexcept;  ///< positions that a sequence can have at most

  /// Adds a prompt and returns its index: 0, 1, 2, ... in the order of the calls. Throws as the
  /// namesakes of Context do in an empty context, and Error(capacity) when it needs more than
  /// max_cache_bytes alone.
  std::size_t add(std::string_view prompt, const GenerateOptions& options = {});
  std::size_t add(std::span<const TokenId> prompt, const GenerateOptions& options = {});
  std::size_t add_chat(std::span<const ChatMessage> messages, const GenerateOptions& options = {},
                       std::string_view tools = {});

  /// One forward pass over the next tokens of the running sequences. False when none is left.
  /// Callbacks may add and cancel. Whatever it throws, it can be called again; of a callback that
  /// throws, the event is not repeated.
  bool step(const BatchCallback& on_token);

  /// Ends the request number `index` at once, without an event. Does nothing if it isn't held.
  void cancel(std::size_t index);

  /// Whether the request number `index` is waiting or running.
  bool holds(std::size_t index) const noexcept;

  std::size_t n_running() const noexcept;
  std::size_t n_waiting() const noexcept;
  BatchStats stats() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The completions of `prompts`, in their order.
std::vector<Completion> generate_batch(const Model& model, std::span<const std::string> prompts,
                                       const GenerateOptions& options = {},
                                       const BatchOptions& batch = {},
                                       const BatchCallback& on_token = {});

}  // namespace mixtral

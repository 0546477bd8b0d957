// Several generations at once: one forward pass serves a token of each.
#pragma once

#include <cstddef>
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
  std::size_t max_sequences = 32;  ///< generated at once; the others wait for their turn. >= 1
};

/// Sees each token of the prompt number `index`; returning false stops that one.
using BatchCallback = std::function<bool(std::size_t index, const TokenEvent& event)>;

/// Generates texts side by side. Each has its own sampler, stop strings and limits, and leaves when
/// it finishes; new ones may join at any time. A text doesn't depend on its neighbours: with the
/// native back end it is what Context::generate gives alone, bit for bit. One thread at a time.
class Batch {
 public:
  /// Throws Error(invalid_argument) for options out of range and Error(out_of_memory).
  explicit Batch(const Model& model, const BatchOptions& options = {});
  ~Batch();
  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;

  /// Adds a prompt and returns its index: 0, 1, 2, ... in the order of the calls. Throws as the
  /// namesakes of Context do in an empty context.
  std::size_t add(std::string_view prompt, const GenerateOptions& options = {});
  std::size_t add(std::span<const TokenId> prompt, const GenerateOptions& options = {});
  std::size_t add_chat(std::span<const ChatMessage> messages, const GenerateOptions& options = {},
                       std::string_view tools = {});

  /// One forward pass over the next tokens of the running sequences. False when none is left.
  bool step(const BatchCallback& on_token);

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

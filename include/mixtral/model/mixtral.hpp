// The network: weights and the forward pass.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "mixtral/core/config.hpp"
#include "mixtral/core/executor.hpp"
#include "mixtral/core/isa.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/kernels/gemm_backend.hpp"
#include "mixtral/layers/kv_cache.hpp"

namespace mixtral {

/// Arithmetic of the matrix products.
enum class Precision {
  automatic,  ///< the fast path: bf16 weights may meet activations rounded to bf16 (f32 sums)
  f32,        ///< f32 activations and f32 sums for every weight type
};

/// How a model computes. Unset fields take MIXTRAL_ISA / MIXTRAL_GEMM, else the best measured choice.
struct ComputeOptions {
  std::optional<Isa> isa = {};
  std::optional<GemmKind> gemm = {};
  Precision precision = Precision::automatic;
};

/// How many of an item's tokens, counted from its last, want the logits that follow them.
struct LogitsFor {
  std::size_t n_last;  ///< more than there are = all

  static const LogitsFor none, last, all;
  bool operator==(const LogitsFor&) const = default;
};

inline constexpr LogitsFor LogitsFor::none{0};
inline constexpr LogitsFor LogitsFor::last{1};
inline constexpr LogitsFor LogitsFor::all{std::numeric_limits<std::size_t>::max()};

/// What one sequence contributes to a forward pass.
struct BatchItem {
  KvCache* cache;                  ///< holds the positions before `tokens`; they are appended to it
  std::span<const TokenId> tokens;  ///< at least one
  LogitsFor logits = LogitsFor::last;
};

/// Sees intermediate results of a forward pass; rows are the batch's tokens in order, of the last layer those whose
/// logits are asked for.
class ForwardObserver {
 public:
  virtual ~ForwardObserver() = default;
  /// Residual stream [n_tokens, hidden] after `layer` decoder layers (0 = the embeddings).
  virtual void on_hidden(std::size_t layer, MatrixView<const float> hidden) = 0;
  /// Experts [n_tokens, top_k] chosen in `layer`, best first, and their weights.
  virtual void on_router(std::size_t layer, MatrixView<const std::uint32_t> experts,
                         MatrixView<const float> weights) = 0;
};

/// Every scratch buffer of a forward pass, allocated once. One thread at a time.
class Workspace {
 public:
  /// For batches of at most `max_tokens` tokens and `max_logits` rows of logits, over caches of at
  /// most `n_ctx` positions. Throws Error(out_of_memory).
  Workspace(const Config& config, std::size_t max_tokens, std::size_t max_logits,
            std::size_t n_ctx, std::size_t n_threads);
  ~Workspace();
  Workspace(Workspace&&) noexcept;
  Workspace& operator=(Workspace&&) noexcept;

  std::size_t max_tokens() const noexcept;
  std::size_t max_logits() const noexcept;
  std::size_t bytes() const noexcept;

  struct Buffers;
  Buffers& buffers() noexcept { return *buffers_; }

 private:
  std::unique_ptr<Buffers> buffers_;
};

/// The weights of one model and the operations on them. Immutable after construction: any number
/// of threads may run `forward`, each with its own caches, workspace and executor.
///
/// Forward pass per token, as Hugging Face's MixtralForCausalLM defines it (rotate-half RoPE, SwiGLU
/// experts, softmax over the selected router logits, ties to the lower expert index).
class Mixtral {
 public:
  /// Throws Error when an option can't be honoured here.
  explicit Mixtral(std::shared_ptr<const Checkpoint> checkpoint, const ComputeOptions& options = {});
  ~Mixtral();
  Mixtral(const Mixtral&) = delete;
  Mixtral& operator=(const Mixtral&) = delete;

  const Config& config() const noexcept;
  const Checkpoint& checkpoint() const noexcept;
  Isa isa() const noexcept;
  GemmKind gemm() const noexcept;
  Precision precision() const noexcept;

  /// Appends each item's tokens to its cache and computes the logits asked for.
  /// Returns [n_rows, vocab] f32: the rows of the items in order; valid until the workspace is used
  /// again. A row depends on its own sequence alone: with the native back end bit for bit,
  /// whatever the thread count, the batch, and how the prompt was split.
  /// Throws Error(invalid_argument) for a token id out of range, an empty item, or a cache or workspace
  /// made for another model, Error(capacity)
  /// when a cache or the workspace is too small, Error(io) when a weight file has shrunk; then no
  /// cache has changed.
  MatrixView<const float> forward(std::span<const BatchItem> batch, Workspace& workspace,
                                  Executor& executor, ForwardObserver* observer = nullptr) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mixtral

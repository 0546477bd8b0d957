#include "model/workspace.hpp"

#include <algorithm>
#include <new>
#include <string>

#include "mixtral/core/error.hpp"

namespace mixtral {

Workspace::Buffers::Buffers(const Config& config_, std::size_t max_tokens_, std::size_t max_logits_,
                            std::size_t n_ctx_, std::size_t n_threads_)
    : config(config_),
      max_tokens(max_tokens_),
      max_logits(max_logits_),
      n_ctx(n_ctx_),
      n_threads(n_threads_),
      residual(max_tokens * config.hidden),
      block{
          .attention = AttentionScratch(
              max_tokens, n_ctx,
              {config.n_heads, config.n_kv_heads, config.head_dim, config.sliding_window},
              n_threads),
          .moe = MoeScratch(max_tokens, config.hidden, config.ffn, config.n_experts, config.top_k,
                            n_threads),
          .normed = AlignedBuffer<float>(max_tokens * config.hidden),
          .projected = AlignedBuffer<float>(max_tokens * config.hidden),
          .input = ActivationBuffer(max_tokens, config.hidden),
      },
      final_input(max_logits, config.hidden),
      logits(max_logits * config.vocab) {
  places.reserve(max_tokens);
  wanted.reserve(max_logits);
}

void Workspace::Buffers::move_token(std::size_t from, std::size_t to) noexcept {
  const auto move_row = [&](AlignedBuffer<float>& rows, std::size_t cols) {
    std::copy_n(rows.data() + from * cols, cols, rows.data() + to * cols);
  };
  if (from == to) return;
  move_row(residual, config.hidden);
  move_row(block.attention.cos, config.head_dim / 2);
  move_row(block.attention.sin, config.head_dim / 2);
  places[to] = places[from];
}

std::size_t Workspace::Buffers::bytes() const noexcept {
  return residual.bytes() + block.attention.bytes() + block.moe.bytes() + block.normed.bytes() +
         block.projected.bytes() + block.input.bytes() + final_input.bytes() + logits.bytes();
}

Workspace::Workspace(const Config& config, std::size_t max_tokens, std::size_t max_logits,
                     std::size_t n_ctx, std::size_t n_threads) {
  if (max_tokens == 0 || n_ctx == 0 || n_threads == 0) {
    throw Error(ErrorCode::invalid_argument,
                "a workspace needs at least 1 token, 1 position and 1 thread");
  }
  try {
    buffers_ = std::make_unique<Buffers>(config, max_tokens, max_logits, n_ctx, n_threads);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory, "no memory for a workspace of " +
                                              std::to_string(max_tokens) + " tokens");
  }
}

Workspace::~Workspace() = default;
Workspace::Workspace(Workspace&&) noexcept = default;
Workspace& Workspace::operator=(Workspace&&) noexcept = default;

std::size_t Workspace::max_tokens() const noexcept { return buffers_->max_tokens; }
std::size_t Workspace::max_logits() const noexcept { return buffers_->max_logits; }
std::size_t Workspace::bytes() const noexcept { return buffers_->bytes(); }

}  // namespace mixtral

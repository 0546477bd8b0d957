// Keys and values of one sequence.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/core/config.hpp"
#include "mixtral/core/tensor.hpp"

namespace mixtral {

/// The attention memory of one sequence: for each layer, keys after RoPE and values of every
/// position so far. Memory is reserved at once and touched as positions are written.
/// One thread at a time.
class KvCache {
 public:
  /// Room for `n_ctx` positions stored as `dtype`. Throws Error(out_of_memory).
  KvCache(const Config& config, std::size_t n_ctx, DType dtype);

  std::size_t size() const noexcept { return size_; }  ///< positions held
  std::size_t capacity() const noexcept { return n_ctx_; }
  DType dtype() const noexcept { return dtype_; }
  std::size_t bytes() const noexcept { return 2 * keys_.bytes(); }

  /// Forgets every position from `size` on. Throws Error(invalid_argument) if size > size().
  void truncate(std::size_t size);

  /// A copy of the positions held, with the same capacity.
  KvCache clone() const;

  /// Rows [n_ctx, head_dim] of one layer's kv head, in dtype().
  std::byte* keys(std::size_t layer, std::size_t kv_head) noexcept;
  std::byte* values(std::size_t layer, std::size_t kv_head) noexcept;

  /// Counts `n_tokens` more positions as held, after a forward pass has written them.
  void advance(std::size_t n_tokens) noexcept { size_ += n_tokens; }

 private:
  std::size_t head_offset(std::size_t layer, std::size_t kv_head) const noexcept;

  std::size_t n_layers_, n_kv_heads_, head_dim_, n_ctx_;
  DType dtype_;
  std::size_t size_ = 0;
  AlignedBuffer<std::byte> keys_;    // [n_layers, n_kv_heads, n_ctx, head_dim]
  AlignedBuffer<std::byte> values_;  // [n_layers, n_kv_heads, n_ctx, head_dim]
};

}  // namespace mixtral

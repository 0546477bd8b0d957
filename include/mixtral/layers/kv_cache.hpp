// Keys and values of one sequence.
#pragma once

#include <cstddef>
#include <cstring>
#include <limits>
#include <string>

#include "mixtral/core/config.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/tensor.hpp"

namespace mixtral {

/// The attention memory of one sequence: for each layer, keys after RoPE and values of every
/// position so far. Memory is reserved at once and touched as positions are written.
/// One thread at a time.
class KvCache {
 public:
  /// Room for `n_ctx` positions stored as `dtype`. Throws Error(invalid_argument) for n_ctx 0 and
  /// Error(out_of_memory).
  KvCache(const Config& config, std::size_t n_ctx, DType dtype)
      : n_layers_(config.n_layers),
        n_kv_heads_(config.n_kv_heads),
        head_dim_(config.head_dim),
        n_ctx_(n_ctx),
        dtype_(dtype),
        keys_(allocate(config, n_ctx, dtype)),
        values_(allocate(config, n_ctx, dtype)) {}

  std::size_t size() const noexcept { return size_; }  ///< positions held
  std::size_t capacity() const noexcept { return n_ctx_; }
  DType dtype() const noexcept { return dtype_; }
  std::size_t bytes() const noexcept { return keys_.bytes() + values_.bytes(); }

  /// Whether it was made for a model of these dimensions.
  bool fits(const Config& config) const noexcept {
    return n_layers_ == config.n_layers && n_kv_heads_ == config.n_kv_heads &&
           head_dim_ == config.head_dim;
  }

  /// Forgets every position from `size` on. Throws Error(invalid_argument) if size > size().
  void truncate(std::size_t size) {
    if (size > size_) {
      throw Error(ErrorCode::invalid_argument, "cannot rewind a context of " +
                                                   std::to_string(size_) + " positions to " +
                                                   std::to_string(size));
    }
    size_ = size;
  }

  /// A copy of the positions held, with the same capacity. Throws Error(out_of_memory).
  KvCache clone() const {
    KvCache copy(*this, Uninitialised{});
    const std::size_t held = size_ * head_dim_ * size_of(dtype_);
    for (std::size_t layer = 0; layer < n_layers_; ++layer) {
      for (std::size_t head = 0; head < n_kv_heads_; ++head) {
        const std::size_t offset = head_offset(layer, head);
        std::memcpy(copy.keys_.data() + offset, keys_.data() + offset, held);
        std::memcpy(copy.values_.data() + offset, values_.data() + offset, held);
      }
    }
    return copy;
  }

  /// Rows [n_ctx, head_dim] of one layer's kv head, in dtype().
  std::byte* keys(std::size_t layer, std::size_t kv_head) noexcept {
    return keys_.data() + head_offset(layer, kv_head);
  }
  std::byte* values(std::size_t layer, std::size_t kv_head) noexcept {
    return values_.data() + head_offset(layer, kv_head);
  }

  /// Counts `n_tokens` more positions as held, after a forward pass has written them.
  void advance(std::size_t n_tokens) noexcept { size_ += n_tokens; }

 private:
  struct Uninitialised {};

  KvCache(const KvCache& other, Uninitialised)
      : n_layers_(other.n_layers_),
        n_kv_heads_(other.n_kv_heads_),
        head_dim_(other.head_dim_),
        n_ctx_(other.n_ctx_),
        dtype_(other.dtype_),
        size_(other.size_),
        keys_(allocate_bytes(other.keys_.bytes())),
        values_(allocate_bytes(other.values_.bytes())) {}

  static AlignedBuffer<std::byte> allocate(const Config& config, std::size_t n_ctx, DType dtype) {
    if (n_ctx == 0) throw Error(ErrorCode::invalid_argument, "a context needs at least 1 position");
    std::size_t bytes = size_of(dtype);
    for (const std::size_t factor : {config.n_layers, config.n_kv_heads, config.head_dim, n_ctx}) {
      if (bytes > std::numeric_limits<std::size_t>::max() / factor) {
        throw Error(ErrorCode::out_of_memory, "a context of " + std::to_string(n_ctx) +
                                                  " positions exceeds the address space");
      }
      bytes *= factor;
    }
    return allocate_bytes(bytes);
  }

  static AlignedBuffer<std::byte> allocate_bytes(std::size_t bytes) {
    try {
      return AlignedBuffer<std::byte>(bytes);
    } catch (const std::bad_alloc&) {
      throw Error(ErrorCode::out_of_memory,
                  "no memory for a key/value cache of 2 x " + std::to_string(bytes) + " bytes");
    }
  }

  std::size_t head_offset(std::size_t layer, std::size_t kv_head) const noexcept {
    return (layer * n_kv_heads_ + kv_head) * n_ctx_ * head_dim_ * size_of(dtype_);
  }

  std::size_t n_layers_, n_kv_heads_, head_dim_, n_ctx_;
  DType dtype_;
  std::size_t size_ = 0;
  AlignedBuffer<std::byte> keys_;    // [n_layers, n_kv_heads, n_ctx, head_dim]
  AlignedBuffer<std::byte> values_;  // [n_layers, n_kv_heads, n_ctx, head_dim]
};

}  // namespace mixtral

// Keys and values of one sequence.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <string>

#include "mixtral/core/config.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/huge_pages.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/table.hpp"

namespace mixtral {

/// The attention memory of one sequence: for each layer, keys after RoPE and values of every
/// position so far. Memory is reserved at once and touched, a block of positions of all layers at a
/// time, as positions are written. One thread at a time.
class KvCache {
 public:
  /// Room for `n_ctx` positions stored as `dtype`, one of kCacheDTypes. Throws Error(invalid_argument) for
  /// another type, a head_dim that isn't a whole number of its blocks, and n_ctx 0, and Error(out_of_memory).
  KvCache(const Config& config, std::size_t n_ctx, DType dtype)
      : KvCache(Shape{config.n_layers, config.n_kv_heads, config.head_dim}, n_ctx, dtype) {}

  /// What bytes() will be. Throws as the constructor does.
  static std::size_t bytes_for(const Config& config, std::size_t n_ctx, DType dtype) {
    return bytes_for(Shape{config.n_layers, config.n_kv_heads, config.head_dim}, n_ctx, dtype);
  }

  std::size_t size() const noexcept { return size_; }  ///< positions held
  std::size_t capacity() const noexcept { return n_ctx_; }
  DType dtype() const noexcept { return dtype_; }
  std::size_t bytes() const noexcept { return memory_.bytes(); }

  /// Whether it was made for a model of these dimensions.
  bool fits(const Config& config) const noexcept {
    return shape_.n_layers == config.n_layers && shape_.n_kv_heads == config.n_kv_heads &&
           shape_.head_dim == config.head_dim;
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
  KvCache clone() const { return copy(size_, n_ctx_); }

  /// A copy of the first `size` <= size() positions with room for `n_ctx` >= `size`. Throws as the
  /// constructor does.
  KvCache copy(std::size_t size, std::size_t n_ctx) const {
    KvCache copy(shape_, n_ctx, dtype_);
    for (std::size_t first = 0; first < size; first += kAttentionUnit) {
      copy.copy_block(*this, first, std::min(size - first, kAttentionUnit));
    }
    copy.size_ = size;
    return copy;
  }

  /// Of position 0, as AttendArgs has them.
  const std::byte* keys(std::size_t layer, std::size_t kv_head) const noexcept {
    return memory_.data() + head_offset(layer, kv_head);
  }
  const std::byte* values(std::size_t layer, std::size_t kv_head) const noexcept {
    return keys(layer, kv_head) + block_ * row_bytes();
  }
  /// Bytes from one block of kAttentionUnit positions to the next.
  std::size_t unit_stride() const noexcept {
    return shape_.n_layers * shape_.n_kv_heads * 2 * block_ * row_bytes();
  }

  /// Stores the key [head_dim] of `position`, given in dtype().
  void set_key(std::size_t layer, std::size_t kv_head, std::size_t position,
               const std::byte* key) noexcept {
    std::byte* tile = block_of_head(layer, kv_head, position) +
                      position % kAttentionUnit / kTileRows * kTileRows * row_bytes();
    const std::size_t column = position % kTileRows;
    switch (dtype_) {
      case DType::f32:
        return spread<4>(key, shape_.head_dim, tile, column);
      case DType::q8_0:
        return spread_blocks(key, tile, column);
      default:
        return spread<2>(key, shape_.head_dim, tile, column);
    }
  }
  /// Where the value [head_dim] of `position` belongs.
  std::byte* value(std::size_t layer, std::size_t kv_head, std::size_t position) noexcept {
    return block_of_head(layer, kv_head, position) +
           (block_ + position % kAttentionUnit) * row_bytes();
  }

  /// Counts `n_tokens` more positions as held, after a forward pass has written them.
  void advance(std::size_t n_tokens) noexcept { size_ += n_tokens; }

 private:
  struct Shape {
    std::size_t n_layers, n_kv_heads, head_dim;
  };

  KvCache(const Shape& shape, std::size_t n_ctx, DType dtype)
      : shape_(shape),
        n_ctx_(n_ctx),
        block_(block_for(n_ctx)),
        dtype_(dtype),
        memory_(allocate_bytes(bytes_for(shape, n_ctx, dtype))) {}

  static constexpr std::size_t block_for(std::size_t n_ctx) noexcept {
    return n_ctx < kAttentionUnit ? (n_ctx + kTileRows - 1) / kTileRows * kTileRows
                                  : kAttentionUnit;
  }

  static std::size_t bytes_for(const Shape& shape, std::size_t n_ctx, DType dtype) {
    if (n_ctx == 0) throw Error(ErrorCode::invalid_argument, "a context needs at least 1 position");
    require_storable(dtype, shape.head_dim);
    const std::size_t block = block_for(n_ctx);
    std::size_t bytes = 2 * block_of(dtype).bytes * block;
    const std::size_t n_blocks = n_ctx / block + (n_ctx % block != 0);
    for (const std::size_t factor :
         {shape.n_layers, shape.n_kv_heads, shape.head_dim / block_of(dtype).elements, n_blocks}) {
      if (bytes > std::numeric_limits<std::size_t>::max() / factor) {
        throw Error(ErrorCode::out_of_memory, "a context of " + std::to_string(n_ctx) +
                                                  " positions exceeds the address space");
      }
      bytes *= factor;
    }
    return bytes;
  }

  static void require_storable(DType dtype, std::size_t head_dim) {
    const auto fail = [&](const std::string& what) {
      throw Error(ErrorCode::invalid_argument,
                  "a key/value cache in " + std::string(name_of(dtype)) + what);
    };
    if (std::find(kCacheDTypes.begin(), kCacheDTypes.end(), dtype) == kCacheDTypes.end()) {
      fail(": expected f32, f16, bf16 or q8_0");
    }
    if (const std::size_t elements = block_of(dtype).elements; head_dim % elements != 0) {
      fail(": expected a head_dim that is a multiple of " + std::to_string(elements) + ", found " +
           std::to_string(head_dim));
    }
  }

  static AlignedBuffer<std::byte> allocate_bytes(std::size_t bytes) {
    try {
      AlignedBuffer<std::byte> memory(bytes);
      advise_huge_pages(memory.data(), bytes);
      return memory;
    } catch (const std::bad_alloc&) {
      throw Error(ErrorCode::out_of_memory,
                  "no memory for a key/value cache of " + std::to_string(bytes) + " bytes");
    }
  }

  /// Copies `n_tokens` positions from `first` on, of one block, from a cache of the same shape. Its
  /// blocks may have another size: tiles of keys and rows of values look the same in each.
  void copy_block(const KvCache& from, std::size_t first, std::size_t n_tokens) noexcept {
    const std::size_t key_bytes = (n_tokens + kTileRows - 1) / kTileRows * kTileRows * row_bytes();
    for (std::size_t layer = 0; layer < shape_.n_layers; ++layer) {
      for (std::size_t head = 0; head < shape_.n_kv_heads; ++head) {
        const std::size_t unit = first / kAttentionUnit;
        const std::byte* source = from.keys(layer, head) + unit * from.unit_stride();
        std::memcpy(block_of_head(layer, head, first), source, key_bytes);
        std::memcpy(value(layer, head, first), source + from.block_ * row_bytes(),
                    n_tokens * row_bytes());
      }
    }
  }

  std::size_t row_bytes() const noexcept { return bytes_of(dtype_, shape_.head_dim); }
  std::size_t head_offset(std::size_t layer, std::size_t kv_head) const noexcept {
    return (layer * shape_.n_kv_heads + kv_head) * 2 * block_ * row_bytes();
  }
  /// The keys of the block that holds `position`.
  std::byte* block_of_head(std::size_t layer, std::size_t kv_head, std::size_t position) noexcept {
    return memory_.data() + position / kAttentionUnit * unit_stride() + head_offset(layer, kv_head);
  }

  /// Puts n units of kBytes each to one column of a tile [n, kTileRows].
  template <std::size_t kBytes>
  static void spread(const std::byte* row, std::size_t n, std::byte* tile, std::size_t column) noexcept {
    for (std::size_t i = 0; i < n; ++i) {
      std::memcpy(tile + (i * kTileRows + column) * kBytes, row + i * kBytes, kBytes);
    }
  }

  /// The same for blocks of q8_0, which are a scale and a byte for each element.
  void spread_blocks(const std::byte* row, std::byte* tile, std::size_t column) const noexcept {
    constexpr BlockShape kBlock = block_of(DType::q8_0);
    constexpr std::size_t kScaleBytes = kBlock.bytes - kBlock.elements;
    for (std::size_t i = 0; i < row_bytes(); i += kBlock.bytes, tile += kBlock.bytes * kTileRows) {
      spread<1>(row + i + kScaleBytes, kBlock.elements, tile, column);
      spread<kScaleBytes>(row + i, 1, tile + kBlock.elements * kTileRows, column);
    }
  }

  Shape shape_;
  std::size_t n_ctx_;
  std::size_t block_;  // positions that lie together: a unit, or all of a short context in whole tiles
  DType dtype_;
  std::size_t size_ = 0;
  // [n_blocks, n_layers, n_kv_heads, keys and values]: keys [block / kTileRows] tiles, values
  // [block, head_dim], as AttendArgs has them
  AlignedBuffer<std::byte> memory_;
};

}  // namespace mixtral

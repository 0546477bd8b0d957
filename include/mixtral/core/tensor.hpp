// Views of row-major matrices, and the aligned owner of scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "mixtral/core/dtype.hpp"

namespace mixtral {

/// Index of a vocabulary entry, 0 .. vocab-1.
using TokenId = std::int32_t;

/// A row-major matrix that someone else owns. Rows are contiguous; consecutive rows are `stride`
/// elements apart (stride >= cols).
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  MatrixView() = default;
  MatrixView(T* data_, std::size_t rows_, std::size_t cols_)
      : MatrixView(data_, rows_, cols_, cols_) {}
  MatrixView(T* data_, std::size_t rows_, std::size_t cols_, std::size_t stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {}
  operator MatrixView<const T>() const noexcept  // NOLINT(google-explicit-constructor)
    requires(!std::is_const_v<T>)
  {
    return {data, rows, cols, stride};
  }

  std::span<T> row(std::size_t index) const noexcept { return {data + index * stride, cols}; }
  MatrixView first_rows(std::size_t count) const noexcept { return {data, count, cols, stride}; }
};

/// How a weight matrix lies in memory.
enum class Layout : std::uint8_t {
  row_major,  ///< rows one after the other
  tiled,      ///< tiles of kTileRows rows, interleaved for the kernels (quant/tile.hpp); the last one padded
};

/// Rows of one tile of a tiled matrix.
inline constexpr std::size_t kTileRows = 32;

/// A weight matrix [rows, cols] in its stored type: rows = outputs, cols = inputs.
/// The bytes carry no alignment guarantee (safetensors aligns to the element at best), except that
/// tiles begin at multiples of 64.
struct WeightView {
  const std::byte* data = nullptr;
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  Layout layout = Layout::row_major;

  std::size_t row_bytes() const noexcept { return bytes_of(dtype, cols); }
  std::size_t bytes() const noexcept {
    const std::size_t unit = layout == Layout::tiled ? kTileRows : 1;
    return (rows + unit - 1) / unit * unit * row_bytes();
  }
  /// The first byte of row `index`; of a tiled matrix, of the tile that begins with this row.
  const std::byte* row(std::size_t index) const noexcept { return data + index * row_bytes(); }
  WeightView row_block(std::size_t first, std::size_t count) const noexcept {
    return {row(first), dtype, count, cols, layout};
  }
};

/// Owns `size` uninitialised elements aligned to a cache line. Pages are touched on first use only.
template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  static constexpr std::size_t kAlignment = 64;

  AlignedBuffer() = default;

  /// Throws std::bad_alloc.
  explicit AlignedBuffer(std::size_t size) : data_(allocate(size)), size_(size) {}

  T* data() noexcept { return data_.get(); }
  const T* data() const noexcept { return data_.get(); }
  std::size_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept { return size_ * sizeof(T); }
  std::span<T> span() noexcept { return {data(), size_}; }
  std::span<const T> span() const noexcept { return {data(), size_}; }

 private:
  struct Free {
    void operator()(T* memory) const noexcept { std::free(memory); }
  };

  static T* allocate(std::size_t size) {
    if (size == 0) return nullptr;
    if (size > (std::numeric_limits<std::size_t>::max() - kAlignment) / sizeof(T)) {
      throw std::bad_alloc();
    }
    const std::size_t rounded = (size * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    void* memory = std::aligned_alloc(kAlignment, rounded);
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }

  std::unique_ptr<T, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace mixtral

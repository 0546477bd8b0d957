// How attention reads the keys and values of a cache, for each type that it can be stored in.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/core/tensor.hpp"
#include "mixtral/quant/q8_0.hpp"
#include "mixtral/simd/simd.hpp"

namespace mixtral::kernels {

/// A block of a key tile: kElements consecutive elements of kTileRows keys, of which two vectors of keys
/// from `first` on are read.
template <class Arch, class T>
class KeyBlock {
 public:
  static constexpr std::size_t kElements = 1;
  static constexpr std::size_t kBytes = kTileRows * sizeof(T);

  KeyBlock(const std::byte* block, std::size_t first) noexcept
      : keys_(reinterpret_cast<const T*>(block) + first) {}

  simd::Vec<Arch> near(std::size_t) const noexcept { return simd::load<Arch>(keys_); }
  simd::Vec<Arch> far(std::size_t) const noexcept {
    return simd::load<Arch>(keys_ + simd::kWidth<Arch>);
  }

 private:
  const T* keys_;
};

/// Quants [32, kTileRows], then scales [kTileRows]. Quant times scale is exact in f32.
template <class Arch>
class KeyBlock<Arch, quant::Q8_0> {
 public:
  static constexpr std::size_t kElements = quant::Q8_0::kElements;
  static constexpr std::size_t kBytes = kTileRows * sizeof(quant::Q8_0::Block);

  KeyBlock(const std::byte* block, std::size_t first) noexcept
      : quants_(reinterpret_cast<const std::int8_t*>(block) + first) {
    const F16* scales = reinterpret_cast<const F16*>(block + kElements * kTileRows) + first;
    near_ = simd::load<Arch>(scales);
    far_ = simd::load<Arch>(scales + simd::kWidth<Arch>);
  }

  simd::Vec<Arch> near(std::size_t element) const noexcept {
    return simd::load<Arch>(quants_ + element * kTileRows) * near_;
  }
  simd::Vec<Arch> far(std::size_t element) const noexcept {
    return simd::load<Arch>(quants_ + element * kTileRows + simd::kWidth<Arch>) * far_;
  }

 private:
  const std::int8_t* quants_;
  simd::Vec<Arch> near_, far_;
};

/// A row of values from `column` on.
template <class Arch, class T>
class ValueRow {
 public:
  static constexpr std::size_t bytes(std::size_t n) noexcept { return n * sizeof(T); }  ///< of n elements

  ValueRow(const std::byte* row, std::size_t column) noexcept
      : values_(reinterpret_cast<const T*>(row) + column) {}

  simd::Vec<Arch> load(std::size_t i) const noexcept { return simd::load<Arch>(values_ + i); }
  simd::Vec<Arch> load_partial(std::size_t count) const noexcept {
    return simd::load_partial<Arch>(values_, count);
  }

 private:
  const T* values_;
};

/// What is read lies in one block.
template <class Arch>
class ValueRow<Arch, quant::Q8_0> {
 public:
  static constexpr std::size_t bytes(std::size_t n) noexcept {
    return n * sizeof(quant::Q8_0::Block) / quant::Q8_0::kElements;
  }

  ValueRow(const std::byte* row, std::size_t column) noexcept {
    const auto& block = reinterpret_cast<const quant::Q8_0::Block*>(row)[column / quant::Q8_0::kElements];
    quants_ = block.qs + column % quant::Q8_0::kElements;
    scale_ = simd::broadcast<Arch>(block.d);
  }

  simd::Vec<Arch> load(std::size_t i) const noexcept {
    return simd::load<Arch>(quants_ + i) * scale_;
  }

 private:
  const std::int8_t* quants_;
  simd::Vec<Arch> scale_;
};

}  // namespace mixtral::kernels

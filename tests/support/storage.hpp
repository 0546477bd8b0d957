// Values in the storage types, chosen at run time.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/reference.hpp"
#include "mixtral/quant/convert.hpp"

namespace mixtral::test {

inline constexpr std::array kDTypes = {DType::f32, DType::f16, DType::bf16};

constexpr std::size_t index_of(DType dtype) noexcept { return static_cast<std::size_t>(dtype); }

/// `n`, or the next number of elements that are whole blocks of `dtype`.
constexpr std::size_t whole_blocks(std::size_t n, DType dtype) noexcept {
  const std::size_t elements = block_of(dtype).elements;
  return (n + elements - 1) / elements * elements;
}

/// `values` rounded to `dtype`.
inline std::vector<std::byte> stored(std::span<const float> values, DType dtype) {
  std::vector<std::byte> bytes(bytes_of(dtype, values.size()));
  reference::kTable.narrow[index_of(dtype)](values.data(), values.size(), bytes.data());
  return bytes;
}

/// What `values` are after a trip through `dtype`.
inline std::vector<float> rounded(std::span<const float> values, DType dtype) {
  const std::vector<std::byte> bytes = stored(values, dtype);
  std::vector<float> wide(values.size());
  quant::dequantise(dtype, bytes.data(), wide);
  return wide;
}

/// Owns a weight matrix.
class Weight {
 public:
  Weight() = default;
  Weight(std::span<const float> values, std::size_t rows, std::size_t cols, DType dtype)
      : bytes_(stored(values, dtype)),
        wide_(rounded(values, dtype)),
        rows_(rows),
        cols_(cols),
        dtype_(dtype) {}

  WeightView view() const noexcept { return {bytes_.data(), dtype_, rows_, cols_}; }
  double at(std::size_t row, std::size_t col) const noexcept { return wide_[row * cols_ + col]; }
  std::size_t rows() const noexcept { return rows_; }
  std::size_t cols() const noexcept { return cols_; }

 private:
  std::vector<std::byte> bytes_;
  std::vector<float> wide_;
  std::size_t rows_ = 0, cols_ = 0;
  DType dtype_ = DType::f32;
};

}  // namespace mixtral::test

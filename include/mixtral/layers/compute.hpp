// How and where layers compute, and the activations they hand to each other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "mixtral/core/executor.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/gemm_backend.hpp"
#include "mixtral/kernels/table.hpp"
#include "mixtral/quant/activations.hpp"

namespace mixtral {

/// What activations are stored as before a matrix product.
enum class ActivationForm {
  f32,          ///< row-major
  f32_blocks,   ///< blocks of quant::F32Activations
  bf16,         ///< row-major
  bf16_blocks,  ///< blocks of quant::BF16Activations
  q8_blocks,    ///< blocks of quant::Q8Activations
  q16_blocks,   ///< blocks of quant::Q16Activations
};

constexpr bool is_blocked(ActivationForm form) noexcept {
  return form != ActivationForm::f32 && form != ActivationForm::bf16;
}

/// Elements and bytes of what `form` stores as one unit.
constexpr BlockShape block_of(ActivationForm form) noexcept {
  switch (form) {
    case ActivationForm::f32_blocks:
      return {quant::F32Activations::kElements, sizeof(quant::F32Activations)};
    case ActivationForm::bf16_blocks:
      return {quant::BF16Activations::kElements, sizeof(quant::BF16Activations)};
    case ActivationForm::q8_blocks:
      return {quant::Q8Activations::kElements, sizeof(quant::Q8Activations)};
    case ActivationForm::q16_blocks:
      return {quant::Q16Activations::kElements, sizeof(quant::Q16Activations)};
    case ActivationForm::bf16:
      return block_of(DType::bf16);
    case ActivationForm::f32:
      return block_of(DType::f32);
  }
  return {};
}

/// Shorter sums than this keep f32 activations beside quantised weights: the errors of rounding have too few terms
/// to average out, and there is no time to be won.
inline constexpr std::size_t kMinRoundedDepth = 256;

/// What a layer's `forward` runs on.
struct Compute {
  const KernelTable& kernels;
  Executor& executor;
  const GemmBackend* gemm = nullptr;  ///< null: the native kernels alone
  bool round_activations = false;     ///< to what the fastest product of a weight type wants

  /// The form that activations must have to be multiplied by all of `weights`.
  ActivationForm activation_form(std::span<const WeightView> weights) const noexcept {
    const ActivationForm form = form_for(weights.front());
    for (const WeightView& weight : weights) {
      if (form_for(weight) != form) return ActivationForm::f32;
    }
    return form;
  }

 private:
  ActivationForm form_for(const WeightView& weight) const noexcept {
    const bool in_blocks = weight.layout == Layout::tiled || is_quantised(weight.dtype);
    if (!rounds_for(weight)) return in_blocks ? ActivationForm::f32_blocks : ActivationForm::f32;
    if (weight.dtype == DType::bf16) return in_blocks ? ActivationForm::bf16_blocks : ActivationForm::bf16;
    const bool in_8_bits = kernels.tiled_q8[static_cast<std::size_t>(weight.dtype)] != nullptr;
    return in_8_bits ? ActivationForm::q8_blocks : ActivationForm::q16_blocks;
  }

  bool rounds_for(const WeightView& weight) const noexcept {
    if (!round_activations) return false;
    if (is_quantised(weight.dtype)) return weight.cols >= kMinRoundedDepth;
    return weight.dtype == DType::bf16 && kernels.gemm_bf16 != nullptr;
  }
};

/// A matrix of activations [rows, cols]. In blocks, those of all rows for one stretch of the columns
/// lie together: `stride` is from one block of a row to its next.
struct ActivationView {
  std::byte* data = nullptr;
  ActivationForm form = ActivationForm::f32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;  ///< bytes from row to row, or from block to block of one row

  /// A matrix of f32 as it is.
  static ActivationView of(MatrixView<float> values) noexcept {
    return {reinterpret_cast<std::byte*>(values.data), ActivationForm::f32, values.rows, values.cols,
            values.stride * sizeof(float)};
  }

  /// Stores values from column `first` of row `index` on, rounding. In blocks, `first` begins a block.
  void set(std::size_t index, std::size_t first, std::span<const float> values,
           const KernelTable& kernels) const noexcept {
    std::byte* at = element(index, first);
    switch (form) {
      case ActivationForm::f32:
        kernels.narrow[static_cast<std::size_t>(DType::f32)](values.data(), values.size(), at);
        break;
      case ActivationForm::f32_blocks:
        set_blocks(values, at);
        break;
      case ActivationForm::bf16:
        kernels.narrow[static_cast<std::size_t>(DType::bf16)](values.data(), values.size(), at);
        break;
      case ActivationForm::bf16_blocks:
        kernels.to_bf16_blocks(values.data(), values.size(), at, stride);
        break;
      case ActivationForm::q8_blocks:
        kernels.to_q8_blocks(values.data(), values.size(), at, stride);
        break;
      case ActivationForm::q16_blocks:
        kernels.to_q16_blocks(values.data(), values.size(), at, stride);
        break;
    }
  }

  /// Stores row `index`.
  void set_row(std::size_t index, const float* values, const KernelTable& kernels) const noexcept {
    set(index, 0, {values, cols}, kernels);
  }

  /// Copies row `from` of `other`, which has the same form and columns, to row `to`. Blocked forms alone.
  void copy_row(const ActivationView& other, std::size_t from, std::size_t to) const noexcept {
    const BlockShape unit = block_of(form);
    for (std::size_t col = 0; col < cols; col += unit.elements) {
      std::memcpy(element(to, col), other.element(from, col), unit.bytes);
    }
  }

  ActivationView row_block(std::size_t first, std::size_t count) const noexcept {
    return {element(first, 0), form, count, cols, stride};
  }

 private:
  void set_blocks(std::span<const float> values, std::byte* to) const noexcept {
    for (; !values.empty(); to += stride) {
      const auto block = values.first(std::min(values.size(), quant::F32Activations::kElements));
      std::memcpy(to, block.data(), block.size_bytes());
      values = values.subspan(block.size());
    }
  }

  std::byte* element(std::size_t row, std::size_t col) const noexcept {
    const BlockShape unit = block_of(form);
    const std::size_t column = col / unit.elements;
    return is_blocked(form) ? data + column * stride + row * unit.bytes
                            : data + row * stride + column * unit.bytes;
  }
};

/// Storage for activations [max_rows, max_cols] or less, in any form.
class ActivationBuffer {
 public:
  ActivationBuffer() = default;
  ActivationBuffer(std::size_t max_rows, std::size_t max_cols) : memory_(bytes(max_rows, max_cols)) {}

  ActivationView view(ActivationForm form, std::size_t rows, std::size_t cols) noexcept {
    const BlockShape unit = block_of(form);
    return {memory_.data(), form, rows, cols, (is_blocked(form) ? rows : cols) * unit.bytes};
  }
  std::size_t bytes() const noexcept { return memory_.bytes(); }

 private:
  /// Of the largest form: whole blocks of f32.
  static std::size_t bytes(std::size_t rows, std::size_t cols) noexcept {
    static_assert(sizeof(quant::F32Activations) >= sizeof(quant::Q16Activations) &&
                  quant::F32Activations::kElements == quant::Q16Activations::kElements);
    const std::size_t blocks = (cols + quant::F32Activations::kElements - 1) / quant::F32Activations::kElements;
    return rows * blocks * sizeof(quant::F32Activations);
  }

  AlignedBuffer<std::byte> memory_;
};

}  // namespace mixtral

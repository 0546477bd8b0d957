// How and where layers compute, and the activations they hand to each other.
#pragma once

#include <cstddef>
#include <span>

#include "mixtral/core/executor.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/gemm_backend.hpp"
#include "mixtral/kernels/table.hpp"

namespace mixtral {

/// What a layer's `forward` runs on.
struct Compute {
  const KernelTable& kernels;
  Executor& executor;
  const GemmBackend* gemm = nullptr;  ///< null: the native kernels alone
  bool round_activations = false;     ///< bf16 weights meet activations rounded to bf16

  /// The type that activations must have to be multiplied by all of `weights`.
  DType activation_dtype(std::span<const WeightView> weights) const noexcept {
    if (!round_activations || kernels.gemm_bf16 == nullptr) return DType::f32;
    for (const WeightView& weight : weights) {
      if (weight.dtype != DType::bf16) return DType::f32;
    }
    return DType::bf16;
  }
};

/// A matrix of activations [rows, cols] in f32 or bf16, row-major and contiguous.
struct ActivationView {
  std::byte* data = nullptr;
  DType dtype = DType::f32;
  std::size_t rows = 0;
  std::size_t cols = 0;

  std::size_t row_bytes() const noexcept { return cols * size_of(dtype); }
  std::byte* row(std::size_t index) const noexcept { return data + index * row_bytes(); }

  /// Stores row `index`, rounding to the view's type.
  void set_row(std::size_t index, const float* values, const KernelTable& kernels) const noexcept {
    kernels.narrow[static_cast<std::size_t>(dtype)](values, cols, row(index));
  }
};

/// Storage for activations of at most `size` elements of any type.
class ActivationBuffer {
 public:
  ActivationBuffer() = default;
  explicit ActivationBuffer(std::size_t size) : memory_(size * sizeof(float)) {}

  ActivationView view(DType dtype, std::size_t rows, std::size_t cols) noexcept {
    return {memory_.data(), dtype, rows, cols};
  }
  std::size_t bytes() const noexcept { return memory_.bytes(); }

 private:
  AlignedBuffer<std::byte> memory_;
};

}  // namespace mixtral

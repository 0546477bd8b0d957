// Operands of matrix products and their results, laid out to catch reads and writes out of place.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "mixtral/kernels/reference.hpp"
#include "support/catch.hpp"
#include "support/guarded.hpp"
#include "support/random.hpp"
#include "support/storage.hpp"

namespace mixtral::test {

/// Storage types of the two factors of a product.
struct GemmTypes {
  DType weights;
  DType activations;
};

inline std::string name_of(GemmTypes types) {
  return std::string(mixtral::name_of(types.weights)) + " x " +
         std::string(mixtral::name_of(types.activations));
}

inline KernelTable::Gemm gemm_of(const KernelTable& table, GemmTypes types) {
  return types.activations == DType::bf16 ? table.gemm_bf16
                                          : table.gemm_f32[index_of(types.weights)];
}

/// The products that `table` offers.
inline std::vector<GemmTypes> gemm_types_of(const KernelTable& table) {
  std::vector<GemmTypes> types;
  for (const DType weights : kDTypes) types.push_back({weights, DType::f32});
  if (table.gemm_bf16 != nullptr) types.push_back({DType::bf16, DType::bf16});
  return types;
}

/// A row-major matrix in a storage type at any alignment. Rows are further apart than their length,
/// with NaN between them.
class StridedMatrix {
 public:
  StridedMatrix(std::span<const float> values, std::size_t rows, std::size_t cols, DType dtype,
                std::size_t byte_offset)
      : stride_((cols + kGap) * size_of(dtype)),
        memory_(stored(spread(values, rows, cols), dtype), byte_offset) {}

  const std::byte* data() const noexcept { return memory_.data(); }
  std::size_t stride() const noexcept { return stride_; }

 private:
  static constexpr std::size_t kGap = 3;

  static std::vector<float> spread(std::span<const float> values, std::size_t rows,
                                   std::size_t cols) {
    if (rows == 0) return {};
    std::vector<float> spread((rows - 1) * (cols + kGap) + cols,
                              std::numeric_limits<float>::quiet_NaN());
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < cols; ++c) spread[r * (cols + kGap) + c] = values[r * cols + c];
    }
    return spread;
  }

  std::size_t stride_;
  Input memory_;
};

/// Where operands lie relative to an aligned address.
struct ByteOffsets {
  std::size_t weights = 0;
  std::size_t activations = 0;
};

/// weights [n_rows, depth] and activations [n_tokens, depth].
struct GemmOperands {
  GemmOperands(std::span<const float> weight_values, std::span<const float> activation_values,
               std::size_t depth_, GemmTypes types, ByteOffsets offsets = {})
      : depth(depth_),
        n_rows(depth == 0 ? kEmptyRows : weight_values.size() / depth),
        n_tokens(depth == 0 ? kEmptyRows : activation_values.size() / depth),
        weights(weight_values, n_rows, depth, types.weights, offsets.weights),
        activations(activation_values, n_tokens, depth, types.activations, offsets.activations) {}

  static constexpr std::size_t kEmptyRows = 100;  // of matrices without columns
  std::size_t depth, n_rows, n_tokens;
  StridedMatrix weights, activations;
};

/// The part of a product that one call computes.
struct GemmPart {
  std::size_t first_row;
  std::size_t n_rows;
  std::size_t n_tokens;
  const std::uint32_t* activation_rows = nullptr;
};

/// out [n_tokens, n_rows] as `multiply(GemmArgs)` computes it. Requires that it writes all of out and
/// nothing else.
template <class Multiply>
std::vector<float> product(Multiply&& multiply, const GemmOperands& operands, GemmPart part) {
  const std::size_t stride = part.n_rows + 2;
  Output<float> out(part.n_tokens * stride, 1);
  multiply(GemmArgs{
      .weights = operands.weights.data() + part.first_row * operands.weights.stride(),
      .weight_stride = operands.weights.stride(),
      .activations = operands.activations.data(),
      .activation_stride = operands.activations.stride(),
      .activation_rows = part.activation_rows,
      .out = out.data(),
      .out_stride = stride,
      .n_rows = part.n_rows,
      .n_tokens = part.n_tokens,
      .depth = operands.depth,
  });
  std::vector<float> values;
  bool gaps_are_poisoned = true;
  for (std::size_t t = 0; t < part.n_tokens; ++t) {
    const std::span row = out.values().subspan(t * stride, stride);
    values.insert(values.end(), row.begin(), row.begin() + static_cast<std::ptrdiff_t>(part.n_rows));
    for (const float gap : row.subspan(part.n_rows)) gaps_are_poisoned &= std::isnan(gap);
  }
  REQUIRE(gaps_are_poisoned);
  REQUIRE(out.is_intact());
  return values;
}

/// For each element of the product, the largest error that n_roundings roundings of f32 can cause:
/// n u / (1 - n u) times the sum of the absolute products (Higham, Accuracy and Stability, 3.1).
inline std::vector<double> rounding_bounds(std::span<const float> weights,
                                           std::span<const float> activations, std::size_t depth,
                                           GemmPart part, std::size_t n_roundings) {
  const double n_u = static_cast<double>(n_roundings) * 0x1p-24;
  std::vector<double> bounds;
  for (std::size_t t = 0; t < part.n_tokens; ++t) {
    const std::size_t source = part.activation_rows ? part.activation_rows[t] : t;
    for (std::size_t r = part.first_row; r < part.first_row + part.n_rows; ++r) {
      double sum = 0;
      for (std::size_t k = 0; k < depth; ++k) {
        sum += std::abs(double{weights[r * depth + k]} * double{activations[source * depth + k]});
      }
      bounds.push_back(n_u / (1 - n_u) * sum);
    }
  }
  return bounds;
}

}  // namespace mixtral::test

// What the tests of layers share: random weights, and linear algebra by the definition in double.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "support/random.hpp"
#include "support/storage.hpp"

namespace mixtral::test {

using Doubles = std::vector<double>;

/// Random weights that keep the size of what they multiply.
inline Weight random_weight(Random& random, std::size_t rows, std::size_t cols, DType dtype) {
  const float scale = std::sqrt(3.0f / static_cast<float>(cols));
  return Weight(random.reals(rows * cols, scale), rows, cols, dtype);
}

/// weight * x.
inline Doubles times(const Weight& weight, std::span<const double> x) {
  Doubles out(weight.rows());
  for (std::size_t r = 0; r < weight.rows(); ++r) {
    for (std::size_t c = 0; c < weight.cols(); ++c) out[r] += weight.at(r, c) * x[c];
  }
  return out;
}

inline Doubles to_doubles(std::span<const float> values) { return {values.begin(), values.end()}; }

inline std::vector<float> to_floats(std::span<const double> values) {
  std::vector<float> floats;
  for (const double value : values) floats.push_back(static_cast<float>(value));
  return floats;
}

/// Row `index` of a matrix with `cols` columns.
inline std::span<const float> row_of(const std::vector<float>& matrix, std::size_t cols,
                                     std::size_t index) {
  return std::span(matrix).subspan(index * cols, cols);
}

}  // namespace mixtral::test

// Mean and spread of a number measured at each token.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace mixtral::cli {

struct Tally {
  std::size_t n = 0;
  double sum = 0;
  double sum_of_squares = 0;

  void add(double value) noexcept {
    ++n;
    sum += value;
    sum_of_squares += value * value;
  }

  double mean() const noexcept { return sum / static_cast<double>(n); }

  /// Standard error of the mean, as if the tokens were independent.
  double standard_error() const noexcept {
    if (n < 2) return 0;
    const auto count = static_cast<double>(n);
    return std::sqrt(std::max(0.0, sum_of_squares / count - mean() * mean()) / (count - 1));
  }
};

}  // namespace mixtral::cli

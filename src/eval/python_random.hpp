// Python's random numbers: the harness chooses few-shot examples with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace mixtral::eval {

/// random.Random(seed) of CPython 3, number for number.
class PythonRandom {
 public:
  explicit PythonRandom(std::uint32_t seed);

  /// A number in [0, n), as Random._randbelow(n) gives; n >= 1.
  std::size_t below(std::size_t n);

  /// The indices that Random.sample(population, k) chooses of a population of `n`; k <= n.
  std::vector<std::size_t> sample(std::size_t n, std::size_t k);

  /// Random.shuffle(values).
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i-- > 1;) std::swap(values[i], values[below(i + 1)]);
  }

 private:
  std::mt19937 twister_;
};

}  // namespace mixtral::eval

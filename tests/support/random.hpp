// Random test data, the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace mixtral::test {

/// std::mt19937_64 is specified to the bit; the standard's distributions are not.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// Uniform in [-scale, scale), a multiple of scale * 2^-23.
  float real(float scale = 1.0f) {
    const auto bits = static_cast<std::int32_t>(engine_() >> 40);  // 24 bits
    return scale * static_cast<float>(bits - (1 << 23)) * 0x1p-23f;
  }
  std::vector<float> reals(std::size_t size, float scale = 1.0f) {
    std::vector<float> values(size);
    for (float& value : values) value = real(scale);
    return values;
  }

  /// Whole numbers in [-4, 4]: exact in every storage type, and so are sums of their products.
  std::vector<float> integers(std::size_t size) {
    std::vector<float> values(size);
    for (float& value : values) value = static_cast<float>(below(9)) - 4.0f;
    return values;
  }

  /// In [0, bound).
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(engine_() % bound); }

  template <class T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace mixtral::test

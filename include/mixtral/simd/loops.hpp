// A vector of four floats made of plain loops: the stand-in for xsimd on unknown architectures.
#pragma once

#include <cmath>
#include <cstddef>

namespace mixtral::simd {

struct LoopVec {
  static constexpr std::size_t size = 4;
  float lanes[size];

  static LoopVec broadcast(float value) noexcept { return {{value, value, value, value}}; }
  static LoopVec load_unaligned(const float* from) noexcept {
    return {{from[0], from[1], from[2], from[3]}};
  }
  void store_unaligned(float* to) const noexcept {
    for (std::size_t i = 0; i < size; ++i) to[i] = lanes[i];
  }

  template <class F>
  static LoopVec map(const LoopVec& a, const LoopVec& b, F f) noexcept {
    return {{f(a.lanes[0], b.lanes[0]), f(a.lanes[1], b.lanes[1]), f(a.lanes[2], b.lanes[2]),
             f(a.lanes[3], b.lanes[3])}};
  }
  friend LoopVec operator+(LoopVec a, LoopVec b) noexcept {
    return map(a, b, [](float x, float y) { return x + y; });
  }
  friend LoopVec operator-(LoopVec a, LoopVec b) noexcept {
    return map(a, b, [](float x, float y) { return x - y; });
  }
  friend LoopVec operator*(LoopVec a, LoopVec b) noexcept {
    return map(a, b, [](float x, float y) { return x * y; });
  }
  friend LoopVec operator/(LoopVec a, LoopVec b) noexcept {
    return map(a, b, [](float x, float y) { return x / y; });
  }
  friend LoopVec max(LoopVec a, LoopVec b) noexcept {
    return map(a, b, [](float x, float y) { return x < y ? y : x; });
  }
  friend LoopVec exp(LoopVec a) noexcept {
    return map(a, a, [](float x, float) { return std::exp(x); });
  }
  friend float reduce_add(LoopVec a) noexcept {
    return (a.lanes[0] + a.lanes[1]) + (a.lanes[2] + a.lanes[3]);
  }
};

}  // namespace mixtral::simd

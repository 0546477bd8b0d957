// Vectors of four elements made of plain loops: the stand-in for xsimd on unknown architectures.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

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

/// Four 32-bit integers, likewise.
template <class T>
struct LoopInts {
  static constexpr std::size_t size = LoopVec::size;
  T lanes[size];

  static LoopInts broadcast(T value) noexcept { return {{value, value, value, value}}; }
  static LoopInts load_unaligned(const T* from) noexcept {
    return {{from[0], from[1], from[2], from[3]}};
  }
  void store_unaligned(T* to) const noexcept {
    for (std::size_t i = 0; i < size; ++i) to[i] = lanes[i];
  }
  LoopVec to_float() const noexcept {
    LoopVec out;
    for (std::size_t i = 0; i < size; ++i) out.lanes[i] = static_cast<float>(lanes[i]);
    return out;
  }

  template <class F>
  static LoopInts map(const LoopInts& a, const LoopInts& b, F f) noexcept {
    LoopInts out;
    for (std::size_t i = 0; i < size; ++i) out.lanes[i] = static_cast<T>(f(a.lanes[i], b.lanes[i]));
    return out;
  }
  friend LoopInts operator+(LoopInts a, LoopInts b) noexcept {
    return map(a, b, [](T x, T y) { return x + y; });
  }
  friend LoopInts operator&(LoopInts a, LoopInts b) noexcept {
    return map(a, b, [](T x, T y) { return x & y; });
  }
  friend LoopInts operator|(LoopInts a, LoopInts b) noexcept {
    return map(a, b, [](T x, T y) { return x | y; });
  }
  friend LoopInts operator^(LoopInts a, LoopInts b) noexcept {
    return map(a, b, [](T x, T y) { return x ^ y; });
  }
  friend LoopInts operator>>(LoopInts a, int n) noexcept {
    return map(a, a, [n](T x, T) { return x >> n; });
  }
  friend LoopInts operator<<(LoopInts a, int n) noexcept {
    return map(a, a, [n](T x, T) { return x << n; });
  }
};

}  // namespace mixtral::simd

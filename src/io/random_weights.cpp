#include "io/random_weights.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace mixtral::detail {
namespace {

/// SplitMix64's output function (Steele, Lea, Flood 2014): a bijection that mixes all bits.
constexpr std::uint64_t mix(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15u;

std::uint64_t hash(std::uint64_t seed, std::string_view name) noexcept {
  std::uint64_t state = mix(seed + kGolden);
  for (const char c : name) state = mix(state + kGolden + static_cast<unsigned char>(c));
  return state;
}

/// x with P(N(0,1) < x) = p, by bisection.
double normal_quantile(double p) {
  double low = -8, high = 8;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0)) / 2 < p ? low : high) = middle;
  }
  return low;
}

std::uint32_t stored_bits(float value, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return std::bit_cast<std::uint32_t>(value);
    case DType::f16:
      return to_f16(value).bits;
    default:
      return to_bf16(value).bits;
  }
}

}  // namespace

RandomWeights::RandomWeights(std::uint64_t seed, std::string_view name, DType dtype, double mean,
                             double deviation)
    : key_(hash(seed, name)), dtype_(dtype) {
  static const auto quantiles = [] {
    std::array<double, kLevels> values{};
    for (std::size_t i = 0; i < kLevels; ++i) {
      values[i] = normal_quantile((static_cast<double>(i) + 0.5) / kLevels);
    }
    return values;
  }();
  for (std::size_t i = 0; i < kLevels; ++i) {
    levels_[i] = stored_bits(static_cast<float>(mean + deviation * quantiles[i]), dtype);
  }
}

template <class T>
void RandomWeights::fill_as(std::size_t first, std::span<std::byte> out) const {
  constexpr std::size_t kPerWord = 4;  // 16 random bits each, of which 12 choose the level
  const std::size_t count = out.size() / sizeof(T);
  std::uint64_t word = first / kPerWord;
  for (std::size_t i = 0; i < count; i += kPerWord) {
    const std::uint64_t bits = mix(key_ + kGolden * ++word);
    const T values[kPerWord] = {
        static_cast<T>(levels_[bits % kLevels]), static_cast<T>(levels_[(bits >> 16) % kLevels]),
        static_cast<T>(levels_[(bits >> 32) % kLevels]), static_cast<T>(levels_[(bits >> 48) % kLevels])};
    std::memcpy(out.data() + i * sizeof(T), values, std::min(kPerWord, count - i) * sizeof(T));
  }
}

void RandomWeights::fill(std::size_t first, std::span<std::byte> out) const {
  if (dtype_ == DType::f32) {
    fill_as<std::uint32_t>(first, out);
  } else {
    fill_as<std::uint16_t>(first, out);
  }
}

}  // namespace mixtral::detail

// Normally distributed weights, each computed from its own position.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "mixtral/core/dtype.hpp"

namespace mixtral::detail {

/// The elements of one tensor: element i is a fixed function of (seed, name, i), so any part can be
/// made at any time, by any thread.
class RandomWeights {
 public:
  RandomWeights(std::uint64_t seed, std::string_view name, DType dtype, double mean,
                double deviation);

  /// Writes elements first .. first + n - 1, where n = out.size() / size_of(dtype). `first` is a
  /// multiple of 4.
  void fill(std::size_t first, std::span<std::byte> out) const;

 private:
  static constexpr std::size_t kLevels = 4096;

  template <class T>
  void fill_as(std::size_t first, std::span<std::byte> out) const;

  std::uint64_t key_;
  DType dtype_;
  std::array<std::uint32_t, kLevels> levels_;  // quantiles of the distribution, as stored
};

}  // namespace mixtral::detail

// Arithmetic on sizes that come from files.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>

namespace mixtral::detail {

/// The product, or nothing when it doesn't fit.
inline std::optional<std::size_t> checked_product(std::span<const std::size_t> factors) {
  std::size_t product = 1;
  for (const std::size_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) return std::nullopt;
  }
  return product;
}
inline std::optional<std::size_t> checked_product(std::initializer_list<std::size_t> factors) {
  return checked_product(std::span(factors.begin(), factors.size()));
}

}  // namespace mixtral::detail

#include "support/compare.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>

namespace mixtral::test {
namespace {

std::string describe(std::size_t index, float actual, float expected, double allowed) {
  std::ostringstream text;
  text.precision(9);
  text << "element " << index << ": expected " << expected << ", found " << actual
       << ", allowed difference " << allowed;
  return text.str();
}

std::string describe_lengths(std::size_t actual, std::size_t expected) {
  return "expected " + std::to_string(expected) + " elements, found " + std::to_string(actual);
}

/// False for every comparison with NaN or infinity.
bool is_near(float actual, float expected, double allowed) {
  return std::isfinite(actual) && std::isfinite(expected) &&
         std::abs(double{actual} - double{expected}) <= allowed;
}

}  // namespace

std::string difference(std::span<const float> actual, std::span<const float> expected,
                     Tolerance tolerance) {
  if (actual.size() != expected.size()) return describe_lengths(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double allowed = tolerance.relative * std::abs(double{expected[i]}) + tolerance.floor;
    if (!is_near(actual[i], expected[i], allowed)) {
      return describe(i, actual[i], expected[i], allowed);
    }
  }
  return "";
}

std::string difference(std::span<const float> actual, std::span<const float> expected,
                     std::span<const double> floors) {
  if (actual.size() != expected.size()) return describe_lengths(actual.size(), expected.size());
  if (floors.size() != expected.size()) return describe_lengths(floors.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (!is_near(actual[i], expected[i], floors[i])) {
      return describe(i, actual[i], expected[i], floors[i]);
    }
  }
  return "";
}

double relative_error(std::span<const float> actual, std::span<const float> expected) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (actual.size() != expected.size()) return kInfinity;
  double largest = 0, furthest = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (!std::isfinite(actual[i]) || !std::isfinite(expected[i])) return kInfinity;
    largest = std::max(largest, std::abs(double{expected[i]}));
    furthest = std::max(furthest, std::abs(double{actual[i]} - double{expected[i]}));
  }
  if (furthest == 0) return 0;
  return largest == 0 ? kInfinity : furthest / largest;
}

std::string bit_difference(std::span<const float> actual, std::span<const float> expected) {
  if (actual.size() != expected.size()) return describe_lengths(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::bit_cast<std::uint32_t>(actual[i]) != std::bit_cast<std::uint32_t>(expected[i])) {
      return describe(i, actual[i], expected[i], 0);
    }
  }
  return "";
}

}  // namespace mixtral::test

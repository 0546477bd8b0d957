// Comparison of computed with expected values. The functions return what is wrong as text, or an
// empty string: REQUIRE(difference(...) == "") shows the reason when it fails.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace mixtral::test {

/// What a value may differ by: |actual - expected| <= relative * |expected| + floor.
/// The floor is for sums of large terms that cancel and for results too small to be normal.
struct Tolerance {
  double relative;
  double floor = 0;
};

/// Compares element by element. A NaN or infinity on either side is a mismatch.
std::string difference(std::span<const float> actual, std::span<const float> expected,
                     Tolerance tolerance);

/// Compares with a floor for each element, such as a bound on its rounding errors.
std::string difference(std::span<const float> actual, std::span<const float> expected,
                     std::span<const double> floors);

/// max |actual - expected| / max |expected|: the error of a vector as a whole. Infinity when the
/// lengths differ, a value isn't finite, or all of expected is zero and actual is not.
double relative_error(std::span<const float> actual, std::span<const float> expected);

/// Compares the bits, so that NaN equals NaN and 0 differs from -0.
std::string bit_difference(std::span<const float> actual, std::span<const float> expected);

}  // namespace mixtral::test

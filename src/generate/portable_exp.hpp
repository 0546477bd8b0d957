// The exponential function from IEEE 754 additions and multiplications alone, so that it gives the
// same bits everywhere. Include it only where the compiler may not contract them
// (-ffp-contract=off).
#pragma once

#include <bit>
#include <cstdint>

namespace mixtral::detail {

/// exp(x) for x <= 0, relative error below 4e-16; 0 where the result would be subnormal.
inline double portable_exp(double x) noexcept {
  constexpr double kLowest = -708.0;  // exp of it is a normal number
  if (!(x >= kLowest)) return 0.0;

  // x = n ln 2 + r with |r| <= ln(2)/2; ln 2 in two parts, the upper one short enough that n times
  // it is exact (fdlibm's e_exp.c).
  constexpr double kInvLn2 = 0x1.71547652b82fep+0;
  constexpr double kLn2Upper = 0x1.62e42feep-1;
  constexpr double kLn2Lower = 0x1.a39ef35793c76p-33;
  constexpr double kRoundToInteger = 0x1.8p52;  // its last place is worth 1
  const double shifted = x * kInvLn2 + kRoundToInteger;
  const double n = shifted - kRoundToInteger;
  const double r = (x - n * kLn2Upper) - n * kLn2Lower;

  // Taylor series to r^13/13!: the rest is below 5e-18.
  double sum = 1.0 / 6227020800.0;
  sum = sum * r + 1.0 / 479001600.0;
  sum = sum * r + 1.0 / 39916800.0;
  sum = sum * r + 1.0 / 3628800.0;
  sum = sum * r + 1.0 / 362880.0;
  sum = sum * r + 1.0 / 40320.0;
  sum = sum * r + 1.0 / 5040.0;
  sum = sum * r + 1.0 / 720.0;
  sum = sum * r + 1.0 / 120.0;
  sum = sum * r + 1.0 / 24.0;
  sum = sum * r + 1.0 / 6.0;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;

  const auto exponent = static_cast<std::int64_t>(n) + 1023;
  return sum * std::bit_cast<double>(static_cast<std::uint64_t>(exponent) << 52);
}

}  // namespace mixtral::detail

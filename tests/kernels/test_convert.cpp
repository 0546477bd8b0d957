// Conversions between f32 and the storage types.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "mixtral/kernels/reference.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guarded.hpp"
#include "support/kernel_tables.hpp"
#include "support/random.hpp"
#include "support/storage.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

/// The layout of a 16-bit type: what its bits mean, from the definition of IEEE 754 formats.
struct Format {
  DType dtype;
  int mantissa_bits;
  int bias;
};

constexpr Format kF16 = {DType::f16, 10, 15};
constexpr Format kBf16 = {DType::bf16, 7, 127};

constexpr std::uint16_t kSign = 0x8000;

std::uint16_t infinity_of(Format format) {
  return static_cast<std::uint16_t>(0x7fff >> format.mantissa_bits << format.mantissa_bits);
}

bool is_nan(Format format, std::uint16_t bits) { return (bits & 0x7fff) > infinity_of(format); }

/// The value of non-NaN bits below infinity's; infinity's would be the next power of two.
double value_of(Format format, std::uint16_t bits) {
  const int exponent = (bits & 0x7fff) >> format.mantissa_bits;
  const int mantissa = bits & ((1 << format.mantissa_bits) - 1);
  const int implicit = exponent == 0 ? 0 : 1 << format.mantissa_bits;
  const int power = std::max(exponent, 1) - format.bias - format.mantissa_bits;
  const double magnitude = std::ldexp(mantissa + implicit, power);
  return (bits & kSign) != 0 ? -magnitude : magnitude;
}

bool is_widened(Format format, std::uint16_t bits, float value) {
  if (is_nan(format, bits)) return std::isnan(value);
  if (std::signbit(value) != ((bits & kSign) != 0)) return false;
  const bool is_infinite = (bits & 0x7fff) == infinity_of(format);
  return is_infinite ? std::isinf(value) : value == value_of(format, bits);
}

/// Every pattern of 16 bits.
std::vector<std::uint16_t> all_bits() {
  std::vector<std::uint16_t> bits(0x10000);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  return bits;
}

std::vector<std::uint16_t> narrow(const KernelTable& table, Format format,
                                  const std::vector<float>& values) {
  Output<std::uint16_t> out(values.size(), 1);
  table.narrow[index_of(format.dtype)](values.data(), values.size(), out.bytes());
  REQUIRE(out.is_intact());
  return {out.values().begin(), out.values().end()};
}

/// The conversion to bf16 of AVX-512 takes subnormal f32 for zero; its sign stays.
bool flushes(const KernelTable& table, Format format, float value) {
  return table.isa == Isa::avx512 && format.dtype == DType::bf16 &&
         std::abs(value) < std::numeric_limits<float>::min();
}

/// Requires that `values` round to `expected`.
void require_narrowed(const KernelTable& table, Format format, const std::vector<float>& values,
                      const std::vector<std::uint16_t>& expected) {
  const auto actual = narrow(table, format, values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool is_zero = flushes(table, format, values[i]);
    const int wanted = is_zero ? expected[i] & kSign : expected[i];
    if (actual[i] != wanted) {
      FAIL(name_of(table.isa) << " " << name_of(format.dtype) << " of " << values[i]
                              << ": expected bits " << wanted << ", found " << actual[i]);
    }
  }
}

template <class F>
void for_each_format(F check) {
  for (const KernelTable* table : kernel_tables()) {
    for (const Format format : {kF16, kBf16}) check(*table, format);
  }
}

}  // namespace

TEST_CASE("widening every 16-bit pattern is exact") {
  for_each_format([](const KernelTable& table, Format format) {
    INFO(name_of(table.isa) << " " << name_of(format.dtype));
    const auto bits = all_bits();
    const Input memory(bits, 1);
    Output<float> wide(bits.size(), 1);
    table.widen[index_of(format.dtype)](memory.data(), bits.size(), wide.data());
    REQUIRE(wide.is_intact());
    for (std::size_t i = 0; i < bits.size(); ++i) {
      if (!is_widened(format, bits[i], wide.values()[i])) {
        FAIL("bits " << bits[i] << " became " << wide.values()[i]);
      }
    }
  });
}

TEST_CASE("narrowing gives every 16-bit value back") {
  for_each_format([](const KernelTable& table, Format format) {
    std::vector<float> values;
    std::vector<std::uint16_t> bits;
    for (const std::uint16_t pattern : all_bits()) {
      if ((pattern & 0x7fff) >= infinity_of(format)) continue;
      values.push_back(static_cast<float>(value_of(format, pattern)));
      bits.push_back(pattern);
    }
    require_narrowed(table, format, values, bits);
  });
}

TEST_CASE("narrowing rounds to the nearest, halves to even, and overflows to infinity") {
  for_each_format([](const KernelTable& table, Format format) {
    std::vector<float> values;
    std::vector<std::uint16_t> bits;
    const auto add = [&](float value, int magnitude_bits) {
      values.insert(values.end(), {value, -value});
      bits.push_back(static_cast<std::uint16_t>(magnitude_bits));
      bits.push_back(static_cast<std::uint16_t>(magnitude_bits | kSign));
    };
    for (std::uint16_t low = 0; low < infinity_of(format); ++low) {
      const auto high = static_cast<std::uint16_t>(low + 1);
      const auto half =
          static_cast<float>((value_of(format, low) + value_of(format, high)) / 2);
      const int even = (low & 1) == 0 ? low : high;
      add(half, even);
      add(std::nextafter(half, 0.0f), low);
      add(std::nextafter(half, std::numeric_limits<float>::infinity()), high);
    }
    add(std::numeric_limits<float>::max(), infinity_of(format));
    add(std::numeric_limits<float>::infinity(), infinity_of(format));
    require_narrowed(table, format, values, bits);
  });
}

TEST_CASE("NaN stays NaN when narrowed, whatever its payload") {
  std::vector<float> values;
  for (int bit = 0; bit < 23; ++bit) {
    for (const std::uint32_t sign : {0u, 0x80000000u}) {
      values.push_back(std::bit_cast<float>(sign | 0x7f800000u | (1u << bit)));
      values.push_back(std::bit_cast<float>(sign | 0x7fffffffu));
    }
  }
  for_each_format([&](const KernelTable& table, Format format) {
    INFO(name_of(table.isa) << " " << name_of(format.dtype));
    for (const std::uint16_t bits : narrow(table, format, values)) REQUIRE(is_nan(format, bits));
  });
}

TEST_CASE("conversions of every length and alignment") {
  for (const KernelTable* table : kernel_tables()) {
    for (const DType dtype : kDTypes) {
      for (std::size_t n = 0; n <= 33; ++n) {
        const auto values = Random(n).reals(n, 100);
        const auto expected_bytes = stored(values, dtype);
        const auto expected_wide = rounded(values, dtype);
        for (std::size_t offset = 0; offset < 17; ++offset) {
          INFO(name_of(table->isa) << " " << name_of(dtype) << ", " << n << " elements, offset "
                                   << offset);
          const Input wide(values, offset * sizeof(float));
          // Memory in elements, so that it's aligned to them; bytes at any address when widening.
          std::vector<std::byte> narrowed;
          bool is_intact;
          const auto run = [&](auto out) {
            table->narrow[index_of(dtype)](wide.floats(), n, out.bytes());
            is_intact = out.is_intact();
            narrowed.assign(out.bytes(), out.bytes() + n * size_of(dtype));
          };
          if (dtype == DType::f32) {
            run(Output<float>(n, offset));
          } else {
            run(Output<std::uint16_t>(n, offset));
          }
          REQUIRE(is_intact);
          REQUIRE(narrowed == expected_bytes);

          const Input bytes(expected_bytes, offset);
          Output<float> back(n, offset);
          table->widen[index_of(dtype)](bytes.data(), n, back.data());
          REQUIRE(back.is_intact());
          REQUIRE(bit_difference(back.values(), expected_wide) == "");
        }
      }
    }
  }
}

namespace {

/// One block of q8_0 of 32 values.
struct Q8Block {
  F16 d;
  std::int8_t q[32];
};

Q8Block to_q8(const KernelTable& table, const std::vector<float>& values) {
  const Input memory(values);
  Output<Q8Block> block(1);
  table.narrow[index_of(DType::q8_0)](memory.floats(), 32, block.bytes());
  REQUIRE(block.is_intact());
  return block.values()[0];
}

}  // namespace

TEST_CASE("blocks of q8_0: the scale of the largest magnitude, the rest within half a step") {
  for (const KernelTable* table : kernel_tables()) {
    for (int power = -40; power <= 22; ++power) {
      INFO(name_of(table->isa) << ", 2^" << power);
      const float scale = std::ldexp(1.0f, power);
      std::vector<float> values = Random(static_cast<std::uint64_t>(power + 40)).reals(32, scale);
      values[static_cast<std::size_t>(power + 40) % 32] = -scale;
      const Q8Block block = to_q8(*table, values);
      REQUIRE(block.d.bits == to_f16(scale / 127).bits);
      const double d = double{to_float(block.d)};
      // f16 scales are multiples of 2^-24, so a step may be that much less than the 127th part.
      const double tolerance = d / 2 * (1 + 1e-5) + 127 * 0x1p-25;
      for (std::size_t i = 0; i < 32; ++i) {
        REQUIRE(block.q[i] >= -127);
        REQUIRE(std::abs(d * block.q[i] - double{values[i]}) <= tolerance);
      }
    }
  }
}

TEST_CASE("what q8_0 can't hold shows as a NaN scale") {
  for (const KernelTable* table : kernel_tables()) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(), 1e7f}) {
      for (std::size_t at = 0; at < 32; ++at) {
        std::vector<float> values(32, 0.5f);
        values[at] = bad;
        const Q8Block block = to_q8(*table, values);
        REQUIRE(std::isnan(to_float(block.d)));
        for (const std::int8_t q : block.q) REQUIRE(q == 0);
      }
    }
    const Q8Block zero = to_q8(*table, std::vector<float>(32, 0.0f));
    REQUIRE(zero.d.bits == 0);
    for (const std::int8_t q : zero.q) REQUIRE(q == 0);
  }
}

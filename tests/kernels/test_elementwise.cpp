// Kernels that go through one row: rms_norm, rope, swiglu, add_scaled, multiply.
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "mixtral/kernels/reference.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guarded.hpp"
#include "support/kernel_tables.hpp"
#include "support/random.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kRounding = 0x1p-24;  // relative, of one f32 operation

/// Calls check(table, n, offset) for every instruction set, every length up to two vectors and one
/// and some longer, and every alignment of a float in a vector.
template <class F>
void for_each_length(F check) {
  std::vector<std::size_t> lengths(34);
  for (std::size_t n = 0; n < lengths.size(); ++n) lengths[n] = n;
  lengths.insert(lengths.end(), {63, 64, 65, 100, 1000, 6144});
  for (const KernelTable* table : kernel_tables()) {
    for (const std::size_t n : lengths) {
      for (std::size_t offset = 0; offset < (n < 100 ? 16 : 2); ++offset) {
        INFO(name_of(table->isa) << ", " << n << " elements, offset " << offset);
        check(*table, n, offset);
      }
    }
  }
}

/// What `kernel(x)` makes of a copy of `values` in place.
template <class F>
std::vector<float> in_place(const std::vector<float>& values, std::size_t offset, F kernel) {
  Output<float> x{std::span(values), offset};
  kernel(x.data());
  REQUIRE(x.is_intact());
  return {x.values().begin(), x.values().end()};
}

Input input(const std::vector<float>& values, std::size_t offset) {
  return Input(values, offset * sizeof(float));
}

}  // namespace

TEST_CASE("rms_norm") {
  for_each_length([](const KernelTable& table, std::size_t n, std::size_t offset) {
    Random random(n);
    const auto x = random.reals(n, 5), gain = random.reals(n);
    const Input x_memory = input(x, offset), gain_memory = input(gain, offset + 1);
    const float eps = 1e-5f;
    std::vector<float> expected(n);
    reference::rms_norm(x.data(), gain.data(), eps, n, expected.data());
    Output<float> out(n, offset);
    table.rms_norm(x_memory.floats(), gain_memory.floats(), eps, n, out.data());
    REQUIRE(out.is_intact());
    // n/4 sums per lane, halved by the root, and a handful of roundings after it.
    const double relative = (static_cast<double>(n) / 8 + 8) * kRounding;
    REQUIRE(difference(out.values(), expected, {relative}) == "");
    const auto same = in_place(x, offset, [&](float* row) {
      table.rms_norm(row, gain_memory.floats(), eps, n, row);
    });
    REQUIRE(bit_difference(same, out.values()) == "");
  });
}

TEST_CASE("rms_norm adds eps under the root, and zeros stay zero") {
  const std::vector<float> zeros(9), tiny(9, 1e-4f), gain(9, 2.0f);
  for (const KernelTable* table : kernel_tables()) {
    INFO(name_of(table->isa));
    std::vector<float> out(9, kNan);
    table->rms_norm(zeros.data(), gain.data(), 1e-5f, 9, out.data());
    REQUIRE(bit_difference(out, zeros) == "");
    table->rms_norm(tiny.data(), gain.data(), 1e-8f, 9, out.data());
    const std::vector<float> expected(9, 2.0f / std::sqrt(2.0f));
    REQUIRE(difference(out, expected, {1e-6}) == "");
  }
}

TEST_CASE("rope") {
  for_each_length([](const KernelTable& table, std::size_t half, std::size_t offset) {
    Random random(half);
    const auto x = random.reals(2 * half, 3), angles = random.reals(half, 7);
    std::vector<float> cos, sin;
    for (const float angle : angles) {
      cos.push_back(std::cos(angle));
      sin.push_back(std::sin(angle));
    }
    const Input cos_memory = input(cos, offset + 1), sin_memory = input(sin, offset + 2);
    auto expected = x;
    reference::rope(expected.data(), cos.data(), sin.data(), half);
    const auto rotated = in_place(x, offset, [&](float* row) {
      table.rope(row, cos_memory.floats(), sin_memory.floats(), half);
    });
    // Two products and a sum of terms below 3, which may cancel.
    REQUIRE(difference(rotated, expected, {0, 3 * 3 * kRounding}) == "");
  });
}

TEST_CASE("swiglu") {
  for_each_length([](const KernelTable& table, std::size_t n, std::size_t offset) {
    Random random(n);
    const auto gate = random.reals(n, 20), up = random.reals(n, 3);
    const Input up_memory = input(up, offset + 1);
    auto expected = gate;
    reference::swiglu(expected.data(), up.data(), n);
    const auto out = in_place(
        gate, offset, [&](float* row) { table.swiglu(row, up_memory.floats(), n); });
    REQUIRE(difference(out, expected, {8 * kRounding, 1e-37}) == "");
  });
}

TEST_CASE("swiglu over the whole range of f32") {
  std::vector<float> gate;
  for (float x = 1e-38f; x < 3e38f; x *= 1.07f) gate.insert(gate.end(), {x, -x});
  for (float x = -110; x < 110; x += 0.37f) gate.push_back(x);
  const std::vector<float> up(gate.size(), 0.5f);
  auto expected = gate;
  reference::swiglu(expected.data(), up.data(), gate.size());
  for (const KernelTable* table : kernel_tables()) {
    INFO(name_of(table->isa));
    auto out = gate;
    table->swiglu(out.data(), up.data(), out.size());
    // Far below zero, e^-x overflows and the result is zero where it would be below 1e-35.
    REQUIRE(difference(out, expected, {8 * kRounding, 1e-35}) == "");
  }
}

TEST_CASE("add_scaled") {
  for_each_length([](const KernelTable& table, std::size_t n, std::size_t offset) {
    Random random(n);
    const auto x = random.reals(n, 2), y = random.reals(n, 3);
    const Input x_memory = input(x, offset + 1);
    auto expected = y;
    reference::add_scaled(-0.7f, x.data(), n, expected.data());
    const auto out = in_place(
        y, offset, [&](float* row) { table.add_scaled(-0.7f, x_memory.floats(), n, row); });
    REQUIRE(difference(out, expected, {2 * kRounding, 2 * kRounding}) == "");
  });
}

TEST_CASE("multiply") {
  for_each_length([](const KernelTable& table, std::size_t n, std::size_t offset) {
    const auto x = Random(n).reals(n, 2);
    auto expected = x;
    reference::multiply(0.3f, n, expected.data());
    const auto out =
        in_place(x, offset, [&](float* row) { table.multiply(0.3f, n, row); });
    REQUIRE(bit_difference(out, expected) == "");
  });
}

TEST_CASE("NaN and infinity stay visible in their element") {
  constexpr std::size_t n = 37;
  const auto x = Random(1).reals(n), other = Random(2).reals(n);
  for (const KernelTable* table : kernel_tables()) {
    for (const float bad : {kNan, kInf, -kInf}) {
      for (const std::size_t at : {0, 20, 36}) {
        INFO(name_of(table->isa) << ", " << bad << " at " << at);
        auto bad_x = x;
        bad_x[at] = bad;
        const auto check = [&](auto kernel) {
          const auto clean = in_place(x, 0, kernel), dirty = in_place(bad_x, 0, kernel);
          for (std::size_t i = 0; i < n; ++i) {
            if (i == at) {
              REQUIRE(!std::isfinite(dirty[i]));
            } else {
              REQUIRE(bit_difference({&dirty[i], 1}, {&clean[i], 1}) == "");
            }
          }
        };
        check([&](float* row) { table->swiglu(row, other.data(), n); });
        check([&](float* row) { table->add_scaled(0.5f, other.data(), n, row); });
        check([&](float* row) { table->multiply(0.5f, n, row); });

        // A norm sees the whole row.
        const auto normed = in_place(bad_x, 0, [&](float* row) {
          table->rms_norm(row, other.data(), 1e-5f, n, row);
        });
        REQUIRE(std::isnan(normed[at]));
        if (std::isnan(bad)) {
          for (const float value : normed) REQUIRE(std::isnan(value));
        }
      }
    }
  }
}

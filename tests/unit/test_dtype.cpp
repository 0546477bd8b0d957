#include <cmath>
#include <cstdint>

#include "mixtral/core/dtype.hpp"
#include "support/catch.hpp"

using namespace mixtral;

TEST_CASE("every f16 survives the trip through f32") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const F16 value{static_cast<std::uint16_t>(bits)};
    const float widened = to_float(value);
    if (std::isnan(widened)) {
      REQUIRE(std::isnan(to_float(to_f16(widened))));
    } else {
      REQUIRE(to_f16(widened).bits == bits);
    }
  }
}

TEST_CASE("f16 rounds to nearest even") {
  REQUIRE(to_f16(65504.0f).bits == 0x7bff);
  REQUIRE(to_f16(65519.996f).bits == 0x7bff);
  REQUIRE(to_f16(65520.0f).bits == 0x7c00);
  REQUIRE(to_f16(1.0f + 0x1p-11f).bits == 0x3c00);
  REQUIRE(to_f16(1.0f + 0x3p-11f).bits == 0x3c02);
  REQUIRE(to_f16(0x1p-25f).bits == 0);
  REQUIRE(to_f16(-0x1.8p-25f).bits == 0x8001);
  REQUIRE(to_f16(0x1p-14f).bits == 0x0400);
  REQUIRE(to_float(F16{0x3c01}) == 1.0f + 0x1p-10f);
}

TEST_CASE("every bf16 survives the trip through f32, and rounding is to nearest even") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const BF16 value{static_cast<std::uint16_t>(bits)};
    const float widened = to_float(value);
    if (std::isnan(widened)) {
      REQUIRE(std::isnan(to_float(to_bf16(widened))));
    } else {
      REQUIRE(to_bf16(widened).bits == bits);
    }
  }
  REQUIRE(to_bf16(1.0f + 0x1p-8f).bits == 0x3f80);
  REQUIRE(to_bf16(1.0f + 0x3p-8f).bits == 0x3f82);
  REQUIRE(to_bf16(3.4028235e38f).bits == 0x7f80);
}

// A comparator that can't fail proves nothing.
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"

using namespace mixtral::test;

namespace {

using Values = std::vector<float>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

void require_rejected(const Values& actual, const Values& expected) {
  const std::vector<double> floors(expected.size(), 1e-3);
  REQUIRE(difference(actual, expected, {.relative = 1e-3, .floor = 1e-3}) != "");
  REQUIRE(difference(actual, expected, floors) != "");
  REQUIRE(relative_error(actual, expected) > 1e-3);
}

}  // namespace

TEST_CASE("equal values are accepted") {
  for (const Values& values : {Values{}, Values{0, -0.0f}, Values{1, -2, 3e30f, -1e-40f}}) {
    REQUIRE(difference(values, values, {.relative = 0}) == "");
    REQUIRE(difference(values, values, std::vector<double>(values.size())) == "");
    REQUIRE(relative_error(values, values) == 0);
    REQUIRE(bit_difference(values, values) == "");
  }
}

TEST_CASE("a value that isn't finite is rejected on either side and on both") {
  for (const float bad : {kNan, kInf, -kInf}) {
    require_rejected({1, bad, 3}, {1, 2, 3});
    require_rejected({1, 2, 3}, {1, bad, 3});
    require_rejected({1, bad, 3}, {1, bad, 3});
  }
}

TEST_CASE("a sign flip is rejected") {
  require_rejected({1, -2, 3}, {1, 2, 3});
  require_rejected({1, 2, 3}, {1, -2, 3});
}

TEST_CASE("negative values that differ are rejected, whichever is larger") {
  require_rejected({-1}, {-2});
  require_rejected({-2}, {-1});
  require_rejected({-1, -1}, {-1, -1.01f});
}

TEST_CASE("a wrong length is rejected") {
  require_rejected({1, 2}, {1, 2, 3});
  require_rejected({1, 2, 3}, {1, 2});
  require_rejected({}, {1});
  REQUIRE(bit_difference(Values{1, 2}, Values{1, 2, 3}) != "");
  REQUIRE(difference(Values{1, 2}, Values{1, 2}, std::vector<double>{1}) != "");
}

TEST_CASE("zeros hide nothing") {
  require_rejected({0.01f, 0}, {0, 0});
  REQUIRE(difference(Values{0}, Values{1}, {.relative = 0.99}) != "");
}

TEST_CASE("the tolerance is the border") {
  REQUIRE(difference(Values{1.25f}, Values{1}, {.relative = 0.25}) == "");
  REQUIRE(difference(Values{1.25f}, Values{1}, {.relative = 0.24}) != "");
  REQUIRE(difference(Values{-0.5f}, Values{-2}, {.relative = 0.5, .floor = 0.5}) == "");
  REQUIRE(difference(Values{-0.5f}, Values{-2}, {.relative = 0.5, .floor = 0.4}) != "");
  REQUIRE(difference(Values{1, 3}, Values{1, 2}, std::vector<double>{0, 1}) == "");
  REQUIRE(difference(Values{1, 3}, Values{1, 2}, std::vector<double>{1, 0.9}) != "");
  REQUIRE(relative_error(Values{1, -3}, Values{2, -4}) == 0.25);
}

TEST_CASE("bits tell zeros apart and NaN from NaN") {
  REQUIRE(bit_difference(Values{0.0f}, Values{-0.0f}) != "");
  REQUIRE(bit_difference(Values{kNan}, Values{kNan}) == "");
  REQUIRE(bit_difference(Values{kNan}, Values{-kNan}) != "");
  REQUIRE(bit_difference(Values{1.0f}, Values{1.0f + 0x1p-23f}) != "");
}

TEST_CASE("the text names the element and both values") {
  REQUIRE(difference(Values{1, 2}, Values{1, 7}, {.relative = 0}) ==
          "element 1: expected 7, found 2, allowed difference 0");
}

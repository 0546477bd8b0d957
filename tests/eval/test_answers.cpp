#include "eval/answers.hpp"
#include "support/catch.hpp"

using namespace mixtral::eval;

TEST_CASE("Answers: the number after ####") {
  CHECK(strict_match("It is 5.\n#### 1,234.\n#### 7") == "1,234.");
  CHECK(strict_match("#### x #### -5 apples") == "-5");
  CHECK(strict_match("####5") == kNoAnswer);
  CHECK(strict_match("#### - 5") == kNoAnswer);
  CHECK(strict_match("#### $5") == kNoAnswer);
  CHECK(strict_match("") == kNoAnswer);
}

TEST_CASE("Answers: the last number anywhere") {
  CHECK(flexible_extract("5 and 7 make 12") == "12");
  CHECK(flexible_extract("it costs $1,200.50.") == "$1,200.50.");
  CHECK(flexible_extract("minus -7") == "-7");
  CHECK(flexible_extract("7 -") == "7");
  CHECK(flexible_extract("so 7. Really...") == "...");  // the harness's expression, not ours
  CHECK(flexible_extract("a $ or . alone") == kNoAnswer);
}

TEST_CASE("Answers: what counts as equal") {
  CHECK(is_exact_match("1234", "He has 4.\n#### 1,234"));
  CHECK(is_exact_match("$1,234.", "#### 3\n#### 1234"));
  CHECK(is_exact_match("5.", "#### 5"));
  CHECK_FALSE(is_exact_match("5.0", "#### 5"));
  CHECK_FALSE(is_exact_match("5", "#### 5\n"));
  CHECK_FALSE(is_exact_match(kNoAnswer, "#### 5"));
}

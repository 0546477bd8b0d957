#include <cmath>
#include <limits>

#include "mixtral/core/error.hpp"
#include "mixtral/generate/logprobs.hpp"
#include "support/catch.hpp"

using namespace mixtral;

TEST_CASE("log-probabilities are the log-softmax of the logits") {
  const std::vector<float> logits = {std::log(1.0f), std::log(2.0f), std::log(5.0f)};
  REQUIRE(logprob(logits, 0) == Approx(std::log(1.0 / 8)));
  REQUIRE(logprob(logits, 1) == Approx(std::log(2.0 / 8)));
  REQUIRE(logprob(logits, 2) == Approx(std::log(5.0 / 8)));
}

TEST_CASE("log-probabilities survive logits whose exponentials overflow or vanish") {
  REQUIRE(logprob(std::vector<float>{1e4f, 1e4f}, 1) == Approx(std::log(0.5)));
  REQUIRE(logprob(std::vector<float>{-1e4f, -1e4f + 1}, 0) == Approx(-std::log1p(std::exp(1.0))));
  const float impossible = -std::numeric_limits<float>::infinity();
  REQUIRE(logprob(std::vector<float>{0.0f, impossible}, 0) == 0.0);
  REQUIRE(logprob(std::vector<float>{0.0f, impossible}, 1) == double(impossible));
}

TEST_CASE("top alternatives come likeliest first, ties to the lower id") {
  const std::vector<float> logits = {1.0f, 3.0f, 2.0f, 3.0f, -1.0f, 2.0f};
  std::vector<TokenLogprob> top;
  top_logprobs(logits, 4, top);
  REQUIRE(top.size() == 4);
  const std::vector<TokenId> expected = {1, 3, 2, 5};
  for (std::size_t i = 0; i < top.size(); ++i) {
    REQUIRE(top[i].id == expected[i]);
    REQUIRE(top[i].logprob == Approx(logprob(logits, expected[i])));
  }
  top_logprobs(logits, 100, top);
  REQUIRE(top.size() == 6);
  REQUIRE(top.back().id == 4);
  top_logprobs(logits, 0, top);
  REQUIRE(top.empty());
}

TEST_CASE("log-probabilities of tokens outside the vocabulary are errors") {
  const std::vector<float> logits = {1.0f, 2.0f};
  REQUIRE_THROWS_AS(logprob(logits, 2), Error);
  REQUIRE_THROWS_AS(logprob(logits, -1), Error);
  REQUIRE_THROWS_AS(log_sum_exp({}), Error);
}

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "generate/portable_exp.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/generate/sampler.hpp"
#include "support/catch.hpp"

using namespace mixtral;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

nlohmann::json golden() {
  std::ifstream file(MIXTRAL_GOLDENS_DIR "/sampling/sampling.json");
  REQUIRE(file);
  return nlohmann::json::parse(file);
}

const nlohmann::json& row_of(const nlohmann::json& rows, const nlohmann::json& test) {
  return rows.at(test.at("row").get<std::size_t>());
}

SamplingOptions options_from(const nlohmann::json& json) {
  SamplingOptions options;
  for (const auto& [id, bias] : json.at("logit_bias").items()) {
    options.logit_bias.push_back({std::stoi(id), bias.get<float>()});
  }
  options.repetition_penalty = json.at("repetition_penalty");
  options.temperature = json.at("temperature");
  options.top_k = json.at("top_k");
  options.top_p = json.at("top_p");
  options.min_p = json.at("min_p");
  return options;
}

double probability_of(std::span<const TokenProbability> distribution, TokenId id) {
  for (const TokenProbability& token : distribution) {
    if (token.id == id) return token.probability;
  }
  return 0;
}

TokenId sample_once(const SamplingOptions& options, const std::vector<float>& logits) {
  return Sampler(options, logits.size()).sample(logits);
}

void require_rejected(const SamplingOptions& options, const std::string& field) {
  try {
    Sampler(options, 8);
    FAIL("accepted a bad " << field);
  } catch (const Error& error) {
    REQUIRE(error.code() == ErrorCode::invalid_argument);
    REQUIRE(std::string(error.what()).find(field) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("distributions equal those of Hugging Face's logits processors") {
  const nlohmann::json goldens = golden();
  for (const auto& test : goldens.at("cases")) {
    CAPTURE(test.dump());
    const auto logits = row_of(goldens.at("logits"), test).get<std::vector<float>>();
    Sampler sampler(options_from(test.at("options")), logits.size());
    sampler.add_prompt(row_of(goldens.at("prompts"), test).get<std::vector<TokenId>>());
    const auto distribution = sampler.distribution(logits);
    REQUIRE(distribution.size() == test.at("probabilities").size());
    for (const auto& [id, expected] : test.at("probabilities").items()) {
      REQUIRE(probability_of(distribution, std::stoi(id)) ==
              Approx(expected.get<double>()).margin(1e-6).epsilon(0));
    }
  }
}

TEST_CASE("a seed gives the tokens that an independent SplitMix64 gives") {
  const nlohmann::json goldens = golden();
  for (const auto& test : goldens.at("draws")) {
    const auto logits = row_of(goldens.at("logits"), test).get<std::vector<float>>();
    Sampler sampler({.temperature = 1, .seed = test.at("seed")}, logits.size());
    for (const auto& expected : test.at("ids")) {
      REQUIRE(sampler.sample(logits) == expected.get<TokenId>());
    }
  }
}

TEST_CASE("tokens are drawn as often as their probability says") {
  const std::vector<float> logits = {0.0f, 1.0f, -1.0f, 2.0f, 0.5f, -kInfinity, 1.5f, -3.0f};
  const SamplingOptions options{.temperature = 1.3, .top_k = 6, .top_p = 0.97, .seed = 7};
  Sampler sampler(options, logits.size());
  constexpr std::size_t kDraws = 40000;
  std::vector<std::size_t> counts(logits.size());
  for (std::size_t i = 0; i < kDraws; ++i) ++counts[sampler.sample(logits)];

  std::size_t total = 0;
  for (const TokenProbability& token : sampler.distribution(logits)) {
    const double deviation = std::sqrt(kDraws * token.probability * (1 - token.probability));
    REQUIRE(std::abs(counts[token.id] - kDraws * token.probability) < 4 * deviation);
    total += counts[token.id];
  }
  REQUIRE(total == kDraws);
}

TEST_CASE("greedy takes the highest logit, ties to the lower id") {
  REQUIRE(sample_once({}, {1.0f, 3.0f, 2.0f, 3.0f}) == 1);
  REQUIRE(sample_once({}, {-kInfinity, -5.0f, -kInfinity}) == 1);
  REQUIRE(sample_once({.logit_bias = {{2, 1.5f}}}, {1.0f, 3.0f, 2.0f, 3.0f}) == 2);
  REQUIRE(sample_once({.logit_bias = {{1, -kInfinity}}}, {1.0f, 3.0f, 2.0f, 3.0f}) == 3);
}

TEST_CASE("top-k keeps exactly k tokens, ties to the lower id") {
  Sampler sampler({.temperature = 1, .top_k = 3}, 5);
  const auto kept = sampler.distribution(std::vector<float>{1.0f, 2.0f, 1.0f, 1.0f, 2.0f});
  REQUIRE(kept.size() == 3);
  REQUIRE(kept[0].id == 1);
  REQUIRE(kept[1].id == 4);
  REQUIRE(kept[2].id == 0);
}

TEST_CASE("top-p over a large flat vocabulary keeps the right number of tokens") {
  Sampler sampler({.temperature = 1, .top_p = 0.5}, 32000);
  REQUIRE(sampler.distribution(std::vector<float>(32000)).size() == 16000);
}

TEST_CASE(
    "frequency counts occurrences in the generated text, presence only whether there are any") {
  const std::vector<float> logits = {1.0f, 0.5f, -kInfinity};
  Sampler frequency({.frequency_penalty = 0.2}, 3);
  const std::vector<TokenId> prompt = {0, 0, 0, 0, 0};
  frequency.add_prompt(prompt);
  // 1.0, 0.8, 0.6 are above 0.5; 0.4 is below it.
  REQUIRE(frequency.sample(logits) == 0);
  REQUIRE(frequency.sample(logits) == 0);
  REQUIRE(frequency.sample(logits) == 0);
  REQUIRE(frequency.sample(logits) == 1);

  Sampler presence({.presence_penalty = 0.6}, 3);
  presence.add_prompt(prompt);
  REQUIRE(presence.sample(logits) == 0);
  REQUIRE(presence.sample(logits) == 1);  // 0.4 against 0.5
  REQUIRE(presence.sample(logits) == 0);  // 0.4 against -0.1
  REQUIRE(presence.sample(logits) == 0);
}

TEST_CASE("the repetition penalty reaches the prompt and both signs of logits") {
  Sampler positive({.repetition_penalty = 2}, 2);
  positive.add_prompt(std::vector<TokenId>{0});
  REQUIRE(positive.sample(std::vector<float>{1.5f, 1.0f}) == 1);
  Sampler negative({.repetition_penalty = 2}, 2);
  negative.add_prompt(std::vector<TokenId>{0, 0});
  REQUIRE(negative.sample(std::vector<float>{-1.0f, -1.5f}) == 1);
}

TEST_CASE("extreme temperatures and logits stay defined") {
  REQUIRE(sample_once({.temperature = 1e-300}, {1.0f, 1.0000001f, 0.0f}) == 1);
  const std::vector<float> wide = {-3e38f, 3e38f, 0.0f};
  REQUIRE(sample_once({.temperature = 1}, wide) == 1);
  Sampler flat({.temperature = 1e300}, 3);
  for (const TokenProbability& token : flat.distribution(wide)) {
    REQUIRE(token.probability == Approx(1.0 / 3));
  }
}

TEST_CASE("logits that no choice can rest on are an error") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (double temperature : {0.0, 1.0}) {
    const SamplingOptions options{.temperature = temperature};
    REQUIRE_THROWS_AS(sample_once(options, {0.0f, nan, 1.0f}), Error);
    REQUIRE_THROWS_AS(sample_once(options, {nan, 0.0f}), Error);
    REQUIRE_THROWS_AS(sample_once(options, {0.0f, kInfinity}), Error);
    REQUIRE_THROWS_AS(sample_once(options, {-kInfinity, -kInfinity}), Error);
    REQUIRE_THROWS_AS(Sampler(options, 3).sample(std::vector<float>(2)), Error);
    REQUIRE_THROWS_AS(Sampler(options, 3).sample(std::vector<float>(4)), Error);
  }
}

TEST_CASE("options outside their range are errors that name the field") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (double bad : {nan, -1.0, double(kInfinity)}) {
    require_rejected({.repetition_penalty = bad}, "repetition_penalty");
    require_rejected({.temperature = bad}, "temperature");
    require_rejected({.top_p = bad}, "top_p");
    require_rejected({.min_p = bad}, "min_p");
  }
  require_rejected({.repetition_penalty = 0}, "repetition_penalty");
  require_rejected({.frequency_penalty = nan}, "frequency_penalty");
  require_rejected({.presence_penalty = double(kInfinity)}, "presence_penalty");
  require_rejected({.top_p = 0}, "top_p");
  require_rejected({.top_p = 1.5}, "top_p");
  require_rejected({.min_p = 1.5}, "min_p");
  require_rejected({.logit_bias = {{8, 1.0f}}}, "logit_bias");
  require_rejected({.logit_bias = {{-1, 1.0f}}}, "logit_bias");
  require_rejected({.logit_bias = {{1, kInfinity}}}, "logit_bias");
  require_rejected({.logit_bias = {{1, float(nan)}}}, "logit_bias");
  Sampler sampler({}, 8);
  REQUIRE_THROWS_AS(sampler.add_prompt(std::vector<TokenId>{8}), Error);
  REQUIRE_THROWS_AS(sampler.add_prompt(std::vector<TokenId>{-1}), Error);
}

TEST_CASE("the portable exponential is exact to a few units in the last place") {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> exponent(-708.0, 0.0);
  for (int i = 0; i < 100000; ++i) {
    const double x = i % 2 == 0 ? exponent(random) : exponent(random) / 708;
    const long double expected = std::exp(static_cast<long double>(x));
    REQUIRE(std::abs(detail::portable_exp(x) - expected) <= 4e-16L * expected);
  }
  REQUIRE(detail::portable_exp(0.0) == 1.0);
  REQUIRE(detail::portable_exp(-0.0) == 1.0);
  REQUIRE(detail::portable_exp(-708.0) > 0.0);
  REQUIRE(detail::portable_exp(-709.0) == 0.0);
  REQUIRE(detail::portable_exp(-double(kInfinity)) == 0.0);
}

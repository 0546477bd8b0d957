#include <random>

#include "mixtral/core/error.hpp"
#include "mixtral/generate/stop_matcher.hpp"
#include "support/catch.hpp"

using namespace mixtral;

namespace {

using Strings = std::vector<std::string>;

struct Outcome {
  std::string text;
  std::optional<std::size_t> match;
  bool operator==(const Outcome&) const = default;
};

Outcome run(const Strings& stops, const Strings& pieces) {
  StopMatcher matcher(stops);
  Outcome outcome;
  for (const std::string& piece : pieces) outcome.text += matcher.push(piece);
  outcome.text += matcher.finish();
  outcome.match = matcher.match();
  return outcome;
}

/// What the definition says, by trying every end position of every stop string.
Outcome expected(const Strings& stops, const std::string& text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    Outcome found;
    for (std::size_t i = 0; i < stops.size(); ++i) {
      const bool longer = !found.match || stops[i].size() > stops[*found.match].size();
      if (text.substr(0, end).ends_with(stops[i]) && longer) {
        found = {text.substr(0, end - stops[i].size()), i};
      }
    }
    if (found.match) return found;
  }
  return {text, std::nullopt};
}

Strings cut(const std::string& text, std::mt19937& random) {
  Strings pieces;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = random() % 4;
    pieces.push_back(text.substr(at, size));
    at += size;
  }
  return pieces;
}

std::string word(std::mt19937& random, std::size_t longest) {
  std::string text;
  for (std::size_t n = random() % longest + 1; n > 0; --n) text += "ab"[random() % 2];
  return text;
}

}  // namespace

TEST_CASE("text without a stop string passes unchanged") {
  REQUIRE(run({}, {"one ", "two"}) == Outcome{"one two", std::nullopt});
  REQUIRE(run({"three"}, {"one ", "two", " thre"}) == Outcome{"one two thre", std::nullopt});
}

TEST_CASE("a stop string is swallowed, also when pieces split it") {
  REQUIRE(run({"STOP"}, {"go STOP now"}) == Outcome{"go ", 0});
  REQUIRE(run({"STOP"}, {"go ", "ST", "O", "P", " now"}) == Outcome{"go ", 0});
  REQUIRE(run({"STOP"}, {"STOP"}) == Outcome{"", 0});
  REQUIRE(run({"aab"}, {"aa", "ab"}) == Outcome{"a", 0});
}

TEST_CASE("text is given out as soon as it can't belong to a stop string") {
  StopMatcher matcher(Strings{"\n\nUser:"});
  REQUIRE(matcher.push("Hello\n") == "Hello");
  REQUIRE(matcher.push("\n") == "");
  REQUIRE(matcher.push("\n") == "\n");
  REQUIRE(matcher.push("Us") == "");
  REQUIRE(matcher.push("ual") == "\n\nUsual");
  REQUIRE(matcher.push("\n\nUser: hi") == "");
  REQUIRE(matcher.match() == std::optional<std::size_t>(0));
  REQUIRE(matcher.push("more") == "");
  REQUIRE(matcher.finish() == "");
}

TEST_CASE("stop strings of several bytes per character") {
  REQUIRE(run({"é"}, {"caf", "è", "é", "!"}) == Outcome{"cafè", 0});
  REQUIRE(run({"界🙂"}, {"世界", "🙃界", "🙂"}) == Outcome{"世界🙃", 0});
  StopMatcher matcher(Strings{"é"});
  REQUIRE(matcher.push("è") == "è");
}

TEST_CASE("of several stop strings the one complete first wins, then the longest") {
  REQUIRE(run({"abcd", "bc"}, {"xabcd"}) == Outcome{"xa", 1});
  REQUIRE(run({"c", "abc", "bc"}, {"xabc"}) == Outcome{"x", 1});
}

TEST_CASE("the result follows the definition however the text is cut") {
  std::mt19937 random(3);
  for (int round = 0; round < 20000; ++round) {
    Strings stops;
    for (std::size_t n = random() % 3 + 1; n > 0; --n) stops.push_back(word(random, 6));
    const std::string text = word(random, 24);
    CAPTURE(stops, text);
    REQUIRE(run(stops, cut(text, random)) == expected(stops, text));
  }
}

TEST_CASE("stop strings that can never match are errors") {
  REQUIRE_THROWS_AS(StopMatcher(Strings{""}), Error);
  REQUIRE_THROWS_AS(StopMatcher(Strings{"fine", "\xff"}), Error);
  REQUIRE_THROWS_AS(StopMatcher(Strings{"\xc3"}), Error);
}

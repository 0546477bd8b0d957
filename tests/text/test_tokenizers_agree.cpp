// tokenizer.json through our own merging against tokenizer.model through SentencePiece.
#include <algorithm>
#include <random>
#include <set>
#include <thread>

#include "support/catch.hpp"
#include "tokenizer_files.hpp"

using namespace mixtral_test;
using mixtral::TokenKind;

namespace {

const std::vector<std::string> kAlphabet = {"▁", "a", "b", "c", "é", "日"};

std::string random_word(std::mt19937_64& random, std::size_t longest) {
  std::string word;
  for (std::uint64_t n = 1 + random() % longest; n > 0; --n)
    word += kAlphabet[random() % kAlphabet.size()];
  return word;
}

/// A vocabulary as a trainer would write it: merged pieces in the order of their scores.
std::vector<ScoredPiece> random_vocabulary(std::mt19937_64& random) {
  auto pieces = special_pieces();
  std::set<std::string> seen(kAlphabet.begin(), kAlphabet.end());
  for (std::uint64_t n = random() % 4; n > 0; --n) {
    const std::string word = "a" + random_word(random, 3);
    if (seen.insert(word).second) pieces.push_back({word, 0, TokenKind::user_defined});
  }
  float score = 0;
  for (std::uint64_t n = random() % 120; n > 0; --n) {
    const std::string word = random_word(random, 4);
    if (seen.insert(word).second) pieces.push_back({word, score -= 1});
  }
  for (const std::string& letter : kAlphabet) pieces.push_back({letter, score -= 1});
  return pieces;
}

}  // namespace

TEST_CASE("random vocabularies: both tokenizers give the same ids") {
  std::mt19937_64 random(7);
  std::size_t merged = 0;
  for (int round = 0; round < 60; ++round) {
    const auto pieces = random_vocabulary(random);
    const auto model = load_sentencepiece(sentencepiece_bytes({.pieces = pieces}));
    const auto json = load_json(tokenizer_json(pieces));
    for (int i = 0; i < 60; ++i) {
      const std::string text = random_word(random, 60);
      const auto ids = model->encode(text);
      REQUIRE(json->encode(text) == ids);
      REQUIRE(json->decode(ids) == model->decode(ids));
      merged += std::count_if(ids.begin(), ids.end(), [&](auto id) {
        return model->kind(id) == TokenKind::normal && model->piece(id).size() > 3;
      });
    }
  }
  CHECK(merged > 10000);
}

TEST_CASE("the small model: both tokenizers give the same ids for any bytes") {
  const auto model = small_tokenizer();
  const auto json = load_json(tokenizer_json(small_pieces()));
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    const std::string text = random_text(seed, seed % 2 == 0);
    REQUIRE(json->encode(text) == model->encode(text));
  }
}

TEST_CASE("a text of a megabyte takes no quadratic time and gives the same ids") {
  const auto model = small_tokenizer();
  const auto json = load_json(tokenizer_json(small_pieces()));
  std::string prose;
  for (std::uint64_t seed = 0; prose.size() < 1000000; ++seed) prose += random_text(seed, true);
  for (const std::string& text : {prose, std::string(1000000, ' '), std::string(1000000, 'e'),
                                  std::string(1000000, '\xFF')}) {
    const auto ids = json->encode(text);
    CHECK(ids == model->encode(text));
    if (text[0] != '\xFF') CHECK(json->decode(ids).size() == model->decode(ids).size());
  }
}

TEST_CASE("one tokenizer serves several threads") {
  for (const auto& tokenizer : {small_tokenizer(), load_json(tokenizer_json(small_pieces()))}) {
    std::vector<std::vector<mixtral::TokenId>> expected;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      expected.push_back(tokenizer->encode(random_text(seed, false)));
    }
    std::vector<int> differing(2);
    const auto work = [&](std::size_t worker) {
      for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const auto ids = tokenizer->encode(random_text(seed, false));
        if (ids != expected[seed] || tokenizer->decode(ids) != tokenizer->decode(expected[seed])) {
          ++differing[worker];
        }
      }
    };
    std::thread other(work, 1);
    work(0);
    other.join();
    CHECK(differing == std::vector<int>{0, 0});
  }
}

#include <sentencepiece_processor.h>

#include <random>

#include "mixtral/core/error.hpp"
#include "mixtral/text/streaming_decoder.hpp"
#include "support/catch.hpp"
#include "tokenizer_files.hpp"

using mixtral::StreamingDecoder;
using mixtral::TokenId;
using namespace mixtral_test;

namespace {

using Ids = std::vector<TokenId>;
using Start = StreamingDecoder::Start;

/// nlohmann-json refuses to write a string that is not UTF-8.
bool is_utf8(const std::string& text) {
  try {
    nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

std::vector<std::string> stream(const std::shared_ptr<const mixtral::Tokenizer>& tokenizer,
                                const Ids& ids, Start start) {
  StreamingDecoder decoder(tokenizer, start);
  std::vector<std::string> parts;
  for (const TokenId id : ids) parts.push_back(decoder.push(id));
  parts.push_back(decoder.finish());
  return parts;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += part;
  return text;
}

Ids byte_ids(const mixtral::Tokenizer& tokenizer, std::string_view bytes) {
  const TokenId first = *tokenizer.find("<0x00>");
  Ids ids;
  for (const char byte : bytes) ids.push_back(first + static_cast<unsigned char>(byte));
  return ids;
}

/// Ids with many byte and control pieces, and often a piece of one space.
Ids random_ids(const mixtral::Tokenizer& tokenizer, std::mt19937_64& random) {
  Ids ids;
  for (std::uint64_t n = random() % 12; n > 0; --n) {
    switch (random() % 5) {
      case 0:
        ids.push_back(static_cast<TokenId>(random() % 7));
        break;
      case 1: {
        constexpr std::string_view kPieces[] = {"\xF0\x9F\x99\x82", "\xE6\x97", "\xED\xA0\x80",
                                                "\x80"};
        const Ids bytes = byte_ids(tokenizer, kPieces[random() % 4]);
        ids.insert(ids.end(), bytes.begin(), bytes.end());
        break;
      }
      case 2:
        ids.push_back(static_cast<TokenId>(7 + random() % 256));
        break;
      case 3:
        ids.push_back(*tokenizer.find("▁"));
        break;
      default:
        ids.push_back(static_cast<TokenId>(random() % tokenizer.vocab_size()));
    }
  }
  return ids;
}

}  // namespace

TEST_CASE("decode of random ids is what SentencePiece decodes, and streams to the same text") {
  const auto tokenizer = small_tokenizer();
  sentencepiece::SentencePieceProcessor reference;
  REQUIRE(reference.LoadFromSerializedProto(small_model_bytes()).ok());
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    const Ids ids = random_ids(*tokenizer, random);
    const std::string text = tokenizer->decode(ids);
    REQUIRE(text == reference.DecodeIds(ids));
    const auto parts = stream(tokenizer, ids, Start::fresh);
    REQUIRE(joined(parts) == text);
    for (const std::string& part : parts) REQUIRE(is_utf8(part));
    for (const std::string& part : stream(tokenizer, ids, Start::continuation)) {
      REQUIRE(is_utf8(part));
    }
  }
}

TEST_CASE("decode undoes encode for valid UTF-8") {
  const auto tokenizer = small_tokenizer();
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    std::string text = random_text(seed, true);
    for (std::size_t at; (at = text.find("▁")) != text.npos;) text.replace(at, 3, 1, ' ');
    REQUIRE(tokenizer->decode(tokenizer->encode(text)) == text);
  }
}

TEST_CASE("a continuation keeps its leading space, a fresh text loses one") {
  const auto tokenizer = small_tokenizer();
  const Ids ids = {*tokenizer->find("▁the"), *tokenizer->find("▁the")};
  CHECK(stream(tokenizer, ids, Start::fresh) == std::vector<std::string>{"the", " the", ""});
  CHECK(stream(tokenizer, ids, Start::continuation) ==
        std::vector<std::string>{" the", " the", ""});
  CHECK(tokenizer->decode(Ids{1, ids[0], 2, ids[0]}) == "the the");
  CHECK(tokenizer->decode(Ids{0}) == " ⁇ ");
  CHECK(tokenizer->decode(Ids{}) == "");
}

TEST_CASE("a character of several byte tokens comes out whole") {
  const auto tokenizer = small_tokenizer();
  const auto parts = stream(tokenizer, byte_ids(*tokenizer, "🙂é"), Start::fresh);
  CHECK(parts == std::vector<std::string>{"", "", "", "🙂", "", "é", ""});
}

TEST_CASE("an unfinished character becomes U+FFFD when something else follows") {
  const auto tokenizer = small_tokenizer();
  Ids ids = byte_ids(*tokenizer, "\xF0\x9F");
  CHECK(stream(tokenizer, ids, Start::fresh) == std::vector<std::string>{"", "", "\uFFFD\uFFFD"});
  ids.push_back(*tokenizer->find("▁the"));
  CHECK(stream(tokenizer, ids, Start::fresh) ==
        std::vector<std::string>{"", "", "\uFFFD\uFFFD the", ""});
}

TEST_CASE("an id out of range is an error and leaves the decoder as it was") {
  const auto tokenizer = small_tokenizer();
  CHECK_THROWS_AS(tokenizer->decode(Ids{5, 700}), mixtral::Error);
  StreamingDecoder decoder(tokenizer, Start::fresh);
  const Ids bytes = byte_ids(*tokenizer, "é");
  CHECK(decoder.push(bytes[0]) == "");
  CHECK_THROWS_AS(decoder.push(-1), mixtral::Error);
  CHECK_THROWS_AS(decoder.push(700), mixtral::Error);
  CHECK(decoder.push(bytes[1]) == "é");
}

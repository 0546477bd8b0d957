#include <functional>

#include "mixtral/core/error.hpp"
#include "support/catch.hpp"
#include "tokenizer_files.hpp"

using mixtral::Error;
using mixtral::ErrorCode;
using mixtral::TokenId;
using mixtral::TokenKind;
using namespace mixtral_test;
using nlohmann::json;

namespace {

using Ids = std::vector<TokenId>;

void check_refused(const std::string& text, ErrorCode code, const std::string& message_part) {
  try {
    mixtral::parse_tokenizer_json(std::as_bytes(std::span(text)), "test.json");
    FAIL("loaded, but expected: " << message_part);
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.code() == code);
    CHECK(std::string(error.what()).find(message_part) != std::string::npos);
    CHECK(std::string(error.what()).find("test.json") != std::string::npos);
  }
}

json added_token(TokenId id, const char* content, bool special) {
  return {{"id", id}, {"content", content}, {"special", special}};
}

/// Pieces over "a", "b" and the space; every test builds on it.
std::vector<ScoredPiece> few_pieces() {
  auto pieces = special_pieces();
  for (const char* text : {"▁", "a", "b", "ab", "▁ab", "aba"}) {
    pieces.push_back({text, -static_cast<float>(pieces.size())});
  }
  return pieces;
}

TokenId id_of(const char* piece) { return *load_json(tokenizer_json(few_pieces()))->find(piece); }

}  // namespace

TEST_CASE("tokenizer.json: vocabulary, kinds and special ids") {
  const auto tokenizer = load_json(tokenizer_json(few_pieces()));
  CHECK(tokenizer->vocab_size() == few_pieces().size());
  CHECK(tokenizer->unk_id() == 0);
  CHECK(tokenizer->bos_id() == 1);
  CHECK(tokenizer->eos_id() == 2);
  CHECK(tokenizer->kind(0) == TokenKind::unknown);
  CHECK(tokenizer->kind(3) == TokenKind::control);
  CHECK(tokenizer->kind(5) == TokenKind::byte);
  CHECK(tokenizer->kind(261) == TokenKind::normal);
  CHECK(tokenizer->piece(3) == "[INST]");
  CHECK(tokenizer->encode("") == Ids{});
  CHECK(tokenizer->encode("ab a") == Ids{id_of("▁ab"), id_of("▁"), id_of("a")});
  CHECK(tokenizer->encode("é") == Ids{id_of("▁"), id_of("<0xC3>"), id_of("<0xA9>")});
}

TEST_CASE("both text handlings and both spellings of merges mean the same") {
  const json legacy = tokenizer_json(small_pieces(), TextHandling::legacy);
  json metaspace = tokenizer_json(small_pieces(), TextHandling::metaspace);
  for (json& merge : metaspace["model"]["merges"]) {
    const auto text = merge.get<std::string>();
    const std::size_t space = text.find(' ');
    merge = {text.substr(0, space), text.substr(space + 1)};
  }
  json always = metaspace;
  always["pre_tokenizer"]["prepend_scheme"] = "always";
  const auto reference = small_tokenizer();
  for (const json* document : std::initializer_list<const json*>{&legacy, &metaspace, &always}) {
    const auto tokenizer = load_json(*document);
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      const std::string text = random_text(seed, false);
      REQUIRE(tokenizer->encode(text) == reference->encode(text));
    }
  }
}

TEST_CASE("special added tokens are never made from text, others are") {
  json document = tokenizer_json(few_pieces());
  const auto next = static_cast<TokenId>(few_pieces().size());
  document["added_tokens"].push_back(added_token(next, "<special>", true));
  document["added_tokens"].push_back(added_token(next + 1, "abab", false));
  // A merge that would make a control piece: transformers lists such merges, SentencePiece has
  // none.
  TokenId id = next + 2;
  for (const char* piece : {"<", "s", ">", "<s"}) document["model"]["vocab"][piece] = id++;
  json merges = {"< s", "<s >"};
  for (const json& merge : document["model"]["merges"]) merges.push_back(merge);
  document["model"]["merges"] = merges;
  const auto tokenizer = load_json(document);
  CHECK(tokenizer->vocab_size() == few_pieces().size() + 6);
  CHECK(tokenizer->kind(next) == TokenKind::control);
  CHECK(tokenizer->kind(next + 1) == TokenKind::user_defined);
  for (const char* text : {"<special>", "<s>", "<unk>", "[INST]", "<0x0A>"}) {
    for (const TokenId id : tokenizer->encode(text)) {
      CHECK(tokenizer->kind(id) != TokenKind::control);
      CHECK(tokenizer->kind(id) != TokenKind::unknown);
    }
  }
  CHECK(tokenizer->encode("<s>") == Ids{id_of("▁"), next + 5, next + 4});
  CHECK(tokenizer->decode(tokenizer->encode("<s> <special>")) == "<s> <special>");
  CHECK(tokenizer->encode("abaab ababab") ==
        Ids{id_of("▁ab"), id_of("a"), id_of("ab"), id_of("▁"), next + 1, id_of("ab")});
}

TEST_CASE("runs of spaces that merge last grow from the left, as with equal scores") {
  auto pieces = special_pieces();
  for (const char* run : {"▁▁", "▁▁▁"}) pieces.push_back({run, -1e9f});  // low ids, lowest score
  for (const char* text : {"▁", "a", "b"}) {
    pieces.push_back({text, -static_cast<float>(pieces.size())});
  }
  pieces.push_back({"ab", -1});
  const auto from_json = load_json(tokenizer_json(pieces));
  const auto from_model = load_sentencepiece(sentencepiece_bytes({.pieces = pieces}));
  for (std::size_t spaces = 0; spaces < 30; ++spaces) {
    const std::string text(spaces, ' ');
    INFO(spaces);
    CHECK(from_json->encode(text) == from_model->encode(text));
  }
}

TEST_CASE("runs of spaces learned last keep their order") {
  auto pieces = special_pieces();
  for (const char* text : {"a", "b", "▁"}) pieces.push_back({text, -1e4f});
  pieces.push_back({"ab", -1});
  pieces.push_back({"▁▁", -2});
  pieces.push_back({"▁▁▁", -3});
  const auto from_json = load_json(tokenizer_json(pieces));
  const auto from_model = load_sentencepiece(sentencepiece_bytes({.pieces = pieces}));
  for (std::size_t spaces = 0; spaces < 30; ++spaces) {
    const std::string text(spaces, ' ');
    INFO(spaces);
    CHECK(from_json->encode(text) == from_model->encode(text));
  }
}

TEST_CASE("a tokenizer.json that can't be honoured is refused with a reason") {
  struct Case {
    ErrorCode code;
    std::string message_part;
    std::function<void(json&)> change;
  };
  constexpr auto kFormat = ErrorCode::format;
  constexpr auto kUnsupported = ErrorCode::unsupported;
  const auto set = [](const char* pointer, json value) {
    return [=](json& document) { document[json::json_pointer(pointer)] = value; };
  };
  const auto erase = [](const char* parent, const char* key) {
    return [=](json& document) { document[json::json_pointer(parent)].erase(key); };
  };
  const auto next = static_cast<TokenId>(few_pieces().size());
  const std::vector<Case> cases = {
      {kUnsupported, "truncation", set("/truncation", {{"max_length", 512}})},
      {kUnsupported, "normalizer", set("/normalizer", {{"type", "NFC"}})},
      {kUnsupported, "normalizer", set("/normalizer/normalizers/0/prepend", "_")},
      {kUnsupported, "space in front", set("/normalizer", nullptr)},
      {kUnsupported, "pre_tokenizer", set("/pre_tokenizer", {{"type", "ByteLevel"}})},
      {kUnsupported, "type", set("/model/type", "Unigram")},
      {kUnsupported, "byte_fallback", set("/model/byte_fallback", false)},
      {kUnsupported, "byte_fallback", erase("/model", "byte_fallback")},
      {kUnsupported, "ignore_merges", set("/model/ignore_merges", true)},
      {kUnsupported, "dropout", set("/model/dropout", 0.1)},
      {kUnsupported, "end_of_word_suffix", set("/model/end_of_word_suffix", "</w>")},
      {kUnsupported, "continuing_subword_prefix", set("/model/continuing_subword_prefix", "##")},
      {kUnsupported, "no piece for byte", set("/added_tokens/0", added_token(10, "<0x05>", true))},
      {kUnsupported, "plain text", set("/added_tokens/-", added_token(next, "#", true))},
      {kUnsupported, "has a space", set("/added_tokens/-", added_token(next, "a b", false))},
      {kUnsupported, "<s>",
       [](json& document) {
         document["model"]["vocab"].erase("<s>");
         document["model"]["vocab"]["<bos>"] = 1;
         document["added_tokens"][1]["content"] = "<bos>";
       }},
      {kUnsupported, "lstrip",
       [&](json& document) {
         json token = added_token(next, "tok", false);
         token["lstrip"] = true;
         document["added_tokens"].push_back(token);
       }},
      {kFormat, "model", erase("", "model")},
      {kFormat, "model", set("/model", 3)},
      {kFormat, "vocab", set("/model/vocab", json::array())},
      {kFormat, "merges", erase("/model", "merges")},
      {kFormat, "unk_token", set("/model/unk_token", nullptr)},
      {kFormat, "no unknown", set("/model/unk_token", "<nothing>")},
      {kFormat, "added_tokens", erase("", "added_tokens")},
      {kFormat, "not an object", set("/added_tokens/-", 1)},
      {kFormat, "content", set("/added_tokens/-", json::object())},
      {kFormat, "special", set("/added_tokens/0/special", 1)},
      {kFormat, "whole number", set("/model/vocab/a", -1)},
      {kFormat, "whole number", set("/model/vocab/a", 1.5)},
      {kFormat, "whole number", set("/model/vocab/a", 3000000000)},
      {kFormat, "two tokens", set("/model/vocab/a", 1)},
      {kFormat, "no token has the id", set("/model/vocab/zz", next + 1)},
      {kFormat, "no token has the id", set("/model/vocab/zz", 2147483647)},
      {kFormat, "as has", set("/added_tokens/-", added_token(1, "<other>", true))},
      {kFormat, "repeats", set("/added_tokens/-", added_token(next, "ab", true))},
      {kFormat, "not a control", set("/added_tokens/1/special", false)},
      {kFormat, "merges[0]", set("/model/merges/0", "ab")},
      {kFormat, "merges[0]", set("/model/merges/0", "a b c")},
      {kFormat, "merges[0]", set("/model/merges/0", {"a", 1})},
      {kFormat, "merges[0]", set("/model/merges/0", {"a", "b", "c"})},
      {kFormat, "vocabulary", set("/model/merges/0", "a zz")},
      {kFormat, "vocabulary", set("/model/merges/0", "b b")},
  };
  for (const Case& test : cases) {
    json document = tokenizer_json(few_pieces());
    test.change(document);
    check_refused(document.dump(), test.code, test.message_part);
  }
  const json metaspace = tokenizer_json(few_pieces(), TextHandling::metaspace);
  const json others = {
      {"split", true}, {"prepend_scheme", "never"}, {"replacement", "_"}, {"type", "Whitespace"}};
  for (const auto& [key, value] : others.items()) {
    json changed = metaspace;
    changed["pre_tokenizer"][key] = value;
    check_refused(changed.dump(), kUnsupported, key);
    changed["pre_tokenizer"].erase(key);
    check_refused(changed.dump(), kUnsupported, key);
  }
}

TEST_CASE("text that is no JSON document is refused") {
  check_refused("", ErrorCode::format, "JSON");
  check_refused("{", ErrorCode::format, "JSON");
  check_refused("[]", ErrorCode::format, "object");
  check_refused("{\"a\": \"\xFF\"}", ErrorCode::format, "JSON");
  check_refused("{\"model\": {}, \"model\": {}}", ErrorCode::format, "duplicate");
  check_refused(std::string(100000, '['), ErrorCode::format, "nested");
  const std::string document = tokenizer_json(few_pieces()).dump();
  for (std::size_t size = 0; size < document.size(); size += 13) {
    check_refused(document.substr(0, size), ErrorCode::format, "JSON");
  }
}

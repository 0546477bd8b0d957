#include <algorithm>
#include <initializer_list>
#include <limits>
#include <map>
#include <utility>

#include "core/json.hpp"
#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/text/tokenizer.hpp"
#include "text/bpe.hpp"
#include "text/input_text.hpp"
#include "text/json_tokenizer.hpp"
#include "text/vocabulary.hpp"

namespace mixtral {
namespace {

using detail::JsonObject;
using detail::Merge;
using detail::Piece;
using detail::quote;
using detail::Vocabulary;
using nlohmann::json;

class JsonTokenizer final : public detail::VocabularyTokenizer {
 public:
  JsonTokenizer(Vocabulary vocabulary, std::span<const Merge> merges)
      : VocabularyTokenizer(std::move(vocabulary)), encoder_(this->vocabulary(), merges) {}

  std::vector<TokenId> encode(std::string_view text) const override {
    detail::check_text_size(text);
    if (text.empty()) return {};
    return encoder_.encode(detail::escape_spaces(text));
  }

 private:
  detail::BytePairEncoder encoder_;
};

/// Reads tokenizer.json as the Hugging Face tokenizers library writes it. post_processor and
/// decoder are left aside: BOS, EOS and decoding are what mixtral::Tokenizer says; so is padding,
/// which concerns batches.
class TokenizerJson {
 public:
  TokenizerJson(std::string_view text, std::string_view name)
      : name_(name),
        document_(detail::parse_json_object(text, name)),
        root_(document_, name_),
        model_(find_model()) {}

  std::shared_ptr<const Tokenizer> tokenizer() const {
    check_text_handling();
    check_model();
    Vocabulary vocabulary = read_vocabulary();
    const std::vector<Merge> merges = read_merges(vocabulary);
    return std::make_shared<JsonTokenizer>(std::move(vocabulary), merges);
  }

  detail::SentencePieceModel scored_model() const {
    check_text_handling();
    check_model();
    Vocabulary vocabulary = read_vocabulary();
    std::vector<float> scores = scores_of(read_merges(vocabulary), vocabulary.size());
    return {std::move(vocabulary), std::move(scores)};
  }

 private:
  [[noreturn]] void fail(ErrorCode code, const std::string& fault) const {
    throw Error(code, quote(name_) + ": " + fault);
  }

  JsonObject find_model() const;
  std::string string(const JsonObject& object, const char* key) const;
  const json& array(const JsonObject& object, const char* key) const;
  TokenId token_id(const json& value, const std::string& what) const;
  static void expect_one_of(const JsonObject& object, const char* key,
                            std::initializer_list<json> allowed);

  void check_text_handling() const;
  void check_model() const;
  Vocabulary read_vocabulary() const;
  std::map<TokenId, Piece> read_vocab() const;
  void apply_added_token(const JsonObject& token, std::map<TokenId, Piece>& pieces) const;
  std::vector<Merge> read_merges(const Vocabulary& vocabulary) const;
  std::pair<std::string, std::string> read_merge(const json& merge, const std::string& what) const;
  std::vector<float> scores_of(const std::vector<Merge>& merges, std::size_t n_pieces) const;

  std::string name_;
  json document_;
  JsonObject root_;
  JsonObject model_;
};

JsonObject TokenizerJson::find_model() const {
  if (auto model = root_.object("model")) return *std::move(model);
  root_.fail("model", "an object", json());
}

std::string TokenizerJson::string(const JsonObject& object, const char* key) const {
  if (auto value = object.string(key)) return *std::move(value);
  object.fail(key, "a string", json());
}

const json& TokenizerJson::array(const JsonObject& object, const char* key) const {
  const json* value = object.find(key);
  if (value == nullptr || !value->is_array()) object.fail(key, "an array", value ? *value : json());
  return *value;
}

void TokenizerJson::expect_one_of(const JsonObject& object, const char* key,
                                  std::initializer_list<json> allowed) {
  const json* value = object.find(key);
  const json found = value == nullptr ? json() : *value;
  if (std::find(allowed.begin(), allowed.end(), found) != allowed.end()) return;
  std::string expected;
  for (const json& choice : allowed) expected += (expected.empty() ? "" : " or ") + choice.dump();
  object.unsupported(key, expected, found);
}

TokenId TokenizerJson::token_id(const json& value, const std::string& what) const {
  constexpr std::uint64_t kMaxId = std::numeric_limits<TokenId>::max();
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMaxId) {
    fail(ErrorCode::format, what + ": the id is not a whole number of 0 .. 2147483647");
  }
  return value.get<TokenId>();
}

/// Accepts the two ways in which Llama-like files say "put a space in front, write spaces as
/// U+2581, do not split": a normalizer (legacy) or a Metaspace pre-tokenizer.
void TokenizerJson::check_text_handling() const {
  static const json kLegacyNormalizer = json::parse(R"({
    "type": "Sequence",
    "normalizers": [
      {"type": "Prepend", "prepend": "\u2581"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    ]
  })");
  expect_one_of(root_, "truncation", {nullptr});
  if (const json* normalizer = root_.find("normalizer")) {
    if (*normalizer != kLegacyNormalizer) {
      root_.unsupported("normalizer", "null or Sequence[Prepend, Replace]", *normalizer);
    }
    return expect_one_of(root_, "pre_tokenizer", {nullptr});
  }
  const auto metaspace = root_.object("pre_tokenizer");
  if (!metaspace) {
    fail(ErrorCode::unsupported, "neither a normalizer nor a pre_tokenizer puts a space in front");
  }
  expect_one_of(*metaspace, "type", {"Metaspace"});
  expect_one_of(*metaspace, "replacement", {detail::kSpaceSymbol});
  expect_one_of(*metaspace, "prepend_scheme", {"first", "always"});
  expect_one_of(*metaspace, "split", {false});
}

void TokenizerJson::check_model() const {
  expect_one_of(model_, "type", {"BPE"});
  expect_one_of(model_, "byte_fallback", {true});
  expect_one_of(model_, "ignore_merges", {nullptr, false});
  expect_one_of(model_, "dropout", {nullptr, 0});
  expect_one_of(model_, "continuing_subword_prefix", {nullptr, ""});
  expect_one_of(model_, "end_of_word_suffix", {nullptr, ""});
}

Vocabulary TokenizerJson::read_vocabulary() const {
  std::map<TokenId, Piece> pieces = read_vocab();
  for (const json& token : array(root_, "added_tokens")) {
    if (!token.is_object()) fail(ErrorCode::format, "an element of added_tokens is not an object");
    apply_added_token(JsonObject(token, name_, "added_tokens[]."), pieces);
  }
  std::vector<Piece> in_order;
  TokenId bos_id = -1;
  TokenId eos_id = -1;
  for (auto& [id, piece] : pieces) {
    if (static_cast<std::size_t>(id) != in_order.size()) {
      fail(ErrorCode::format, "no token has the id " + std::to_string(in_order.size()));
    }
    if (piece.text == "<s>") bos_id = id;
    if (piece.text == "</s>") eos_id = id;
    in_order.push_back(std::move(piece));
  }
  if (bos_id < 0 || eos_id < 0) fail(ErrorCode::unsupported, "no token <s> or no token </s>");
  return Vocabulary(std::move(in_order), bos_id, eos_id, name_);
}

std::map<TokenId, Piece> TokenizerJson::read_vocab() const {
  const auto vocab = model_.object("vocab");
  if (!vocab) model_.fail("vocab", "an object", json());
  const std::string unknown = string(model_, "unk_token");
  std::map<TokenId, Piece> pieces;
  for (const auto& [piece, value] : vocab->value().items()) {
    const TokenId id = token_id(value, "model.vocab[" + quote(piece) + "]");
    const TokenKind kind = piece == unknown                  ? TokenKind::unknown
                           : detail::parse_byte_piece(piece) ? TokenKind::byte
                                                             : TokenKind::normal;
    if (!pieces.try_emplace(id, Piece{piece, kind}).second) {
      fail(ErrorCode::format, "two tokens have the id " + std::to_string(id));
    }
  }
  return pieces;
}

/// A special token is a control piece, any other one is user-defined. How a special one says it is
/// to be matched is of no account, since text never becomes control tokens.
void TokenizerJson::apply_added_token(const JsonObject& token,
                                      std::map<TokenId, Piece>& pieces) const {
  const std::string content = string(token, "content");
  const TokenId id = token_id(token.value().value("id", json()), "added token " + quote(content));
  Piece& piece = pieces.try_emplace(id, Piece{content, TokenKind::normal}).first->second;
  if (piece.text != content) {
    fail(ErrorCode::format, "added token " + quote(content) + " has the id " + std::to_string(id) +
                                ", as has " + quote(piece.text));
  }
  const bool is_special = token.boolean("special").value_or(false);
  if (piece.kind == TokenKind::unknown) return;
  piece.kind = is_special ? TokenKind::control : TokenKind::user_defined;
  if (is_special) return;
  for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
    expect_one_of(token, flag, {nullptr, false});
  }
  if (content.find(' ') != content.npos) {
    fail(ErrorCode::unsupported,
         "added token " + quote(content) + " has a space and is not special");
  }
}

std::vector<Merge> TokenizerJson::read_merges(const Vocabulary& vocabulary) const {
  std::vector<Merge> merges;
  for (const json& entry : array(model_, "merges")) {
    const std::string what = "model.merges[" + std::to_string(merges.size()) + "]";
    const auto [left, right] = read_merge(entry, what);
    const auto left_id = vocabulary.find(left);
    const auto right_id = vocabulary.find(right);
    const auto result = vocabulary.find(left + right);
    if (!left_id || !right_id || !result) {
      fail(ErrorCode::format, what + ": " + quote(left) + ", " + quote(right) +
                                  " or both together are not in the vocabulary");
    }
    merges.push_back({*left_id, *right_id, *result});
  }
  return merges;
}

/// Either "left right" or ["left", "right"].
std::pair<std::string, std::string> TokenizerJson::read_merge(const json& merge,
                                                              const std::string& what) const {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  if (merge.is_string()) {
    const auto& both = merge.get_ref<const std::string&>();
    const std::size_t space = both.find(' ');
    if (space != both.npos && both.find(' ', space + 1) == both.npos) {
      return {both.substr(0, space), both.substr(space + 1)};
    }
  }
  fail(ErrorCode::format, what + ": neither \"left right\" nor [\"left\", \"right\"]");
}

/// Of pieces that no merge gives 0; of the others the lower, the later their merges come.
std::vector<float> TokenizerJson::scores_of(const std::vector<Merge>& merges,
                                            std::size_t n_pieces) const {
  std::vector<float> scores(n_pieces, 0);
  TokenId last = -1;
  float rank = 0;
  for (const Merge& merge : merges) {
    if (merge.result == last) continue;
    last = merge.result;
    float& score = scores[static_cast<std::size_t>(last)];
    if (score != 0) {
      fail(ErrorCode::unsupported, "model.merges: expected all that give one token next to each other, as "
                                   "SentencePiece's scores order them");
    }
    score = --rank;  // exact: there are at most 2^20 pieces
  }
  return scores;
}

}  // namespace

detail::SentencePieceModel detail::parse_scored_tokenizer_json(std::string_view bytes,
                                                               std::string_view name) {
  return TokenizerJson(bytes, name).scored_model();
}

std::shared_ptr<const Tokenizer> parse_tokenizer_json(std::span<const std::byte> bytes,
                                                      std::string_view name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return TokenizerJson(text, name).tokenizer();
}

}  // namespace mixtral

#include "io/gguf_tokenizer.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "text/json_tokenizer.hpp"

namespace mixtral::detail {
namespace {

constexpr const char* kModel = "tokenizer.ggml.model";
constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kScores = "tokenizer.ggml.scores";
constexpr const char* kTypes = "tokenizer.ggml.token_type";

/// True when the vocabulary is there, and of the kind that Mixtral models have.
bool has_vocabulary(const GgufMetadata& metadata) {
  const std::string_view model = metadata.string(kModel).value_or("no_vocab");
  if (model == "no_vocab" || model == "none") return false;
  if (model != "llama") {
    metadata.fail(ErrorCode::unsupported, kModel,
                  "expected \"llama\", a SentencePiece vocabulary, found " + quote(model));
  }
  const char* kPrefix = "tokenizer.ggml.add_space_prefix";
  if (!metadata.boolean(kPrefix).value_or(true)) {
    metadata.fail(ErrorCode::unsupported, kPrefix, "expected true");
  }
  return true;
}

/// An unused piece may never come out of text, as no control piece may.
TokenKind to_kind(double type, const GgufMetadata& metadata) {
  constexpr TokenKind kKinds[] = {TokenKind::normal,       TokenKind::unknown, TokenKind::control,
                                  TokenKind::user_defined, TokenKind::control, TokenKind::byte};
  for (int i = 0; i < 6; ++i) {
    if (type == i + 1) return kKinds[i];
  }
  metadata.fail(ErrorCode::format, kTypes, "expected 1 to 6, found " + std::to_string(type));
}

/// Of added tokens the spaces are spaces; in SentencePiece no piece has any.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == ' ') {
      result += kSpaceSymbol;
    } else {
      result += c;
    }
  }
  return result;
}

TokenId id_of(const GgufMetadata& metadata, const std::string& which, std::size_t by_default) {
  return static_cast<TokenId>(
      metadata.size("tokenizer.ggml." + which + "_token_id").value_or(by_default));
}

template <class T>
T required(std::optional<T> values, const char* key, const GgufMetadata& metadata) {
  if (!values) metadata.fail(ErrorCode::format, key, "it is missing");
  return *std::move(values);
}

void check_length(std::size_t found, std::size_t expected, const char* key, const GgufMetadata& metadata) {
  if (found == expected) return;
  metadata.fail(ErrorCode::format, key, "expected one for each of the " + std::to_string(expected) +
                                            " tokens, found " + std::to_string(found));
}

SentencePieceModel read_model(const GgufMetadata& metadata) {
  const auto tokens = required(metadata.strings(kTokens), kTokens, metadata);
  const auto scores = required(metadata.numbers(kScores), kScores, metadata);
  const auto types = required(metadata.numbers(kTypes), kTypes, metadata);
  check_length(scores.size(), tokens.size(), kScores, metadata);
  check_length(types.size(), tokens.size(), kTypes, metadata);
  std::vector<Piece> pieces;
  std::vector<float> merged;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const TokenKind kind = to_kind(types[i], metadata);
    pieces.push_back({kind == TokenKind::user_defined ? escaped(tokens[i]) : std::string(tokens[i]), kind});
    merged.push_back(static_cast<float>(scores[i]));
  }
  return {Vocabulary(std::move(pieces), id_of(metadata, "bos", 1), id_of(metadata, "eos", 2),
                     metadata.file()),
          std::move(merged)};
}

}  // namespace

std::optional<std::string> gguf_tokenizer_model(const GgufMetadata& metadata) {
  if (!has_vocabulary(metadata)) return std::nullopt;
  return serialize(read_model(metadata));
}

std::optional<std::string> gguf_tokenizer_config(const GgufMetadata& metadata) {
  if (!has_vocabulary(metadata)) return std::nullopt;
  const Vocabulary vocabulary = read_model(metadata).vocabulary;
  nlohmann::ordered_json object = {
      {"tokenizer_class", "LlamaTokenizer"},
      {"add_bos_token", metadata.boolean("tokenizer.ggml.add_bos_token").value_or(true)},
      {"add_eos_token", metadata.boolean("tokenizer.ggml.add_eos_token").value_or(false)},
      {"bos_token", vocabulary[vocabulary.bos_id()].text},
      {"eos_token", vocabulary[vocabulary.eos_id()].text},
      {"unk_token", vocabulary[vocabulary.unk_id()].text},
      {"clean_up_tokenization_spaces", false},
  };
  if (const auto chat = metadata.string("tokenizer.chat_template")) object["chat_template"] = *chat;
  return object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::optional<SentencePieceModel> sentencepiece_model_of(const Checkpoint& checkpoint) {
  if (const auto model = checkpoint.file("tokenizer.model")) {
    return parse_sentencepiece_model(*model, "tokenizer.model");
  }
  if (const auto json = checkpoint.file("tokenizer.json")) {
    return parse_scored_tokenizer_json(*json, "tokenizer.json");
  }
  return std::nullopt;
}

}  // namespace mixtral::detail

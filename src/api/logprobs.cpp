#include "api/logprobs.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "api/target.hpp"
#include "core/utf8.hpp"

namespace mixtral::api {
namespace {

/// JSON has no infinity; this is what the OpenAI API has instead.
double finite(double logprob) { return std::max(logprob, -9999.0); }

/// The likeliest tokens and the one that was taken; of tokens with one text the likeliest counts.
Json top_object(const Piece& piece, const Tokenizer& tokenizer) {
  Json top = Json::object();
  for (const TokenLogprob& token : piece.top) {
    top.emplace(token_text(tokenizer, token.id), finite(token.logprob));
  }
  top.emplace(token_text(tokenizer, piece.id), finite(piece.logprob));
  return top;
}

Json chat_entry(TokenId id, double logprob, const Tokenizer& tokenizer) {
  const std::string text = token_bytes(tokenizer, id);
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", token_text(tokenizer, id)}, {"logprob", finite(logprob)}, {"bytes", bytes}};
}

}  // namespace

void CompletionLogprobs::add_first(TokenId id) {
  add_text(id);
  logprobs_.push_back(nullptr);
  top_.push_back(nullptr);
}

void CompletionLogprobs::add(std::span<const Piece> pieces) {
  for (const Piece& piece : pieces) {
    add_text(piece.id);
    logprobs_.push_back(finite(piece.logprob));
    top_.push_back(top_object(piece, tokenizer_));
  }
}

void CompletionLogprobs::add_text(TokenId id) {
  tokens_.push_back(token_text(tokenizer_, id));
  offsets_.push_back(offset_);
  if (tokenizer_.kind(id) != TokenKind::control) offset_ += detail::count_characters(token_bytes(tokenizer_, id));
}

Json CompletionLogprobs::to_json() const {
  return {{"tokens", tokens_},
          {"token_logprobs", logprobs_},
          {"top_logprobs", top_},
          {"text_offset", offsets_}};
}

Json chat_logprobs(std::span<const Piece> pieces, const Tokenizer& tokenizer) {
  Json content = Json::array();
  for (const Piece& piece : pieces) {
    Json entry = chat_entry(piece.id, piece.logprob, tokenizer);
    entry["top_logprobs"] = Json::array();
    for (const TokenLogprob& token : piece.top) {
      entry["top_logprobs"].push_back(chat_entry(token.id, token.logprob, tokenizer));
    }
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

}  // namespace mixtral::api

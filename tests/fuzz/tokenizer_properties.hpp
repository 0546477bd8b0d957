// What holds for every tokenizer that could be loaded.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "check.hpp"
#include "core/utf8.hpp"
#include "mixtral/text/streaming_decoder.hpp"

inline void check_vocabulary(const mixtral::Tokenizer& tokenizer) {
  for (std::size_t i = 0; i < tokenizer.vocab_size(); ++i) {
    const auto id = static_cast<mixtral::TokenId>(i);
    check(tokenizer.find(tokenizer.piece(id)) == id);
  }
}

/// Ids of `text`, none of them a control token, decoded at once and in a stream.
inline std::vector<mixtral::TokenId> check_encoding(
    const std::shared_ptr<const mixtral::Tokenizer>& tokenizer, std::string_view text) {
  const std::vector<mixtral::TokenId> ids = tokenizer->encode(text);
  mixtral::StreamingDecoder decoder(tokenizer, mixtral::StreamingDecoder::Start::fresh);
  std::string streamed;
  for (const mixtral::TokenId id : ids) {
    check(tokenizer->kind(id) != mixtral::TokenKind::control);
    check(tokenizer->kind(id) != mixtral::TokenKind::unknown);
    const std::string part = decoder.push(id);
    check(mixtral::detail::is_valid_utf8(part));
    streamed += part;
  }
  streamed += decoder.finish();
  check(streamed == tokenizer->decode(ids));
  return ids;
}

/// Words, spaces, names of control tokens, bad UTF-8.
inline constexpr std::string_view kMixedText =
    "the <s> [REF_1]  ab\xE2\x96\x81\xF0\x9F\x99\x82\xFF\n[INST]";

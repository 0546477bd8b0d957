#include "mixtral/text/streaming_decoder.hpp"

#include <algorithm>
#include <utility>

#include "core/utf8.hpp"
#include "text/vocabulary.hpp"

namespace mixtral {
namespace {

using detail::kSpaceSymbol;

constexpr std::string_view kUnknownSurface = " \xE2\x81\x87 ";  // U+2047 between spaces

std::string unescape_spaces(std::string_view piece) {
  std::string text;
  while (!piece.empty()) {
    const std::size_t plain = std::min(piece.find(kSpaceSymbol), piece.size());
    text += piece.substr(0, plain);
    piece.remove_prefix(plain);
    if (!piece.empty()) {
      text += ' ';
      piece.remove_prefix(kSpaceSymbol.size());
    }
  }
  return text;
}

}  // namespace

StreamingDecoder::StreamingDecoder(std::shared_ptr<const Tokenizer> tokenizer, Start start)
    : tokenizer_(std::move(tokenizer)), drop_leading_space_(start == Start::fresh) {}

std::string StreamingDecoder::push(TokenId id) {
  const TokenKind kind = tokenizer_->kind(id);
  std::string_view piece = tokenizer_->piece(id);
  if (kind == TokenKind::byte) return push_byte(detail::parse_byte_piece(piece).value());

  std::string text = take_pending(pending_bytes_.size());
  if (kind == TokenKind::control) return text;
  if (kind == TokenKind::unknown) {
    text += kUnknownSurface;
  } else {
    if (drop_leading_space_ && piece.starts_with(kSpaceSymbol)) {
      piece.remove_prefix(kSpaceSymbol.size());
    }
    text += unescape_spaces(piece);
  }
  drop_leading_space_ = false;
  return text;
}

std::string StreamingDecoder::finish() {
  drop_leading_space_ = false;
  return take_pending(pending_bytes_.size());
}

std::string StreamingDecoder::push_byte(std::uint8_t byte) {
  drop_leading_space_ = false;
  pending_bytes_ += static_cast<char>(byte);
  return take_pending(pending_bytes_.size() - detail::unfinished_utf8_size(pending_bytes_));
}

std::string StreamingDecoder::take_pending(std::size_t count) {
  std::string text;
  detail::append_as_utf8(text, std::string_view(pending_bytes_).substr(0, count));
  pending_bytes_.erase(0, count);
  return text;
}

}  // namespace mixtral

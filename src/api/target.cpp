#include "api/target.hpp"

#include <algorithm>
#include <utility>

#include "api/error.hpp"

namespace mixtral::api {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581, a space in a piece

/// The byte of a piece such as "<0x0A>".
unsigned char byte_of(std::string_view piece) {
  return static_cast<unsigned char>(std::stoi(std::string(piece.substr(3, 2)), nullptr, 16));
}

void require_room(std::size_t n_prompt, std::size_t n_ctx, const char* field) {
  if (n_prompt < n_ctx) return;
  throw ApiError(400, std::string(field) + ": expected fewer tokens than the context has, " +
                          std::to_string(n_ctx) + ", found " + std::to_string(n_prompt),
                 field, "context_length_exceeded");
}

}  // namespace

const Tokenizer& Target::require_tokenizer(const char* field) const {
  if (tokenizer) return *tokenizer;
  throw ApiError(400, std::string(field) + ": the model has no tokenizer, only prompts of ids work", field,
                 "unsupported");
}

std::size_t Target::default_new_tokens(std::size_t n_prompt, std::size_t otherwise) const {
  const std::size_t n_room = n_ctx - std::min(n_ctx, n_prompt);
  return std::max<std::size_t>(1, std::min(max_new_tokens.value_or(otherwise), n_room));
}

Job Target::make_job(Conversation conversation) const {
  const std::size_t n_prompt = format_chat(require_tokenizer("messages"), chat_version,
                                           conversation.messages, conversation.tools)
                                   .size();
  require_room(n_prompt, n_ctx, "messages");
  return {.prompt = std::move(conversation), .n_prompt = n_prompt, .options = {}};
}

Job Target::make_job(std::vector<TokenId> ids) const {
  const std::size_t n_prompt = ids.size();
  require_room(n_prompt, n_ctx, "prompt");
  return {.prompt = std::move(ids), .n_prompt = n_prompt, .options = {}};
}

std::string token_text(const Tokenizer& tokenizer, TokenId id) {
  if (tokenizer.kind(id) != TokenKind::byte) return token_bytes(tokenizer, id);
  const std::string_view piece = tokenizer.piece(id);
  const unsigned char byte = byte_of(piece);
  if (byte < 0x80) return std::string(1, static_cast<char>(byte));
  return "bytes:\\x" + std::string(piece.substr(3, 2));
}

std::string token_bytes(const Tokenizer& tokenizer, TokenId id) {
  std::string_view piece = tokenizer.piece(id);
  if (tokenizer.kind(id) == TokenKind::byte) return std::string(1, static_cast<char>(byte_of(piece)));
  std::string text;
  while (!piece.empty()) {
    const bool is_space = piece.starts_with(kSpaceSymbol);
    text += is_space ? ' ' : piece.front();
    piece.remove_prefix(is_space ? kSpaceSymbol.size() : 1);
  }
  return text;
}

}  // namespace mixtral::api

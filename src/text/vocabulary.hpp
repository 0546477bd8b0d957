// The checked list of pieces behind every tokenizer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mixtral/text/tokenizer.hpp"

namespace mixtral::detail {

/// U+2581, which stands for a space inside pieces.
inline constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";

struct Piece {
  std::string text;
  TokenKind kind = TokenKind::normal;
};

/// The byte that a piece such as "<0x0A>" stands for (upper-case digits, as SentencePiece writes).
std::optional<std::uint8_t> parse_byte_piece(std::string_view piece) noexcept;

/// An immutable vocabulary with byte fallback: piece of an id, id of a piece. Thread-safe.
class Vocabulary {
 public:
  /// `pieces` in the order of their ids. Throws Error naming `name` unless the pieces are unique
  /// UTF-8 text of a sane length without NUL, exactly one is unknown, all 256 bytes have a piece,
  /// bos and eos are control pieces, and no control piece is a single character (SentencePiece
  /// would make it out of plain text).
  Vocabulary(std::vector<Piece> pieces, TokenId bos_id, TokenId eos_id, std::string_view name);

  Vocabulary(Vocabulary&&) = default;

  std::size_t size() const noexcept { return pieces_.size(); }

  /// Throws Error(invalid_argument) for an id out of range.
  const Piece& operator[](TokenId id) const;

  std::optional<TokenId> find(std::string_view text) const;

  TokenId byte_id(std::uint8_t byte) const noexcept { return byte_ids_[byte]; }
  TokenId bos_id() const noexcept { return bos_id_; }
  TokenId eos_id() const noexcept { return eos_id_; }
  TokenId unk_id() const noexcept { return unk_id_; }

 private:
  void index(TokenId id, std::string_view name);
  void check_complete(std::string_view name) const;

  std::vector<Piece> pieces_;
  std::unordered_map<std::string_view, TokenId> ids_;  // views into pieces_
  std::array<TokenId, 256> byte_ids_;
  TokenId bos_id_;
  TokenId eos_id_;
  TokenId unk_id_;
};

/// A tokenizer that answers every question but `encode` from its vocabulary.
class VocabularyTokenizer : public Tokenizer {
 public:
  explicit VocabularyTokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}

  std::size_t vocab_size() const noexcept final { return vocabulary_.size(); }
  std::string_view piece(TokenId id) const final { return vocabulary_[id].text; }
  TokenKind kind(TokenId id) const final { return vocabulary_[id].kind; }
  std::optional<TokenId> find(std::string_view piece) const final {
    return vocabulary_.find(piece);
  }
  TokenId bos_id() const noexcept final { return vocabulary_.bos_id(); }
  TokenId eos_id() const noexcept final { return vocabulary_.eos_id(); }
  TokenId unk_id() const noexcept final { return vocabulary_.unk_id(); }

 protected:
  const Vocabulary& vocabulary() const noexcept { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
};

}  // namespace mixtral::detail

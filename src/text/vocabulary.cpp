#include "text/vocabulary.hpp"

#include "core/message.hpp"
#include "core/utf8.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

constexpr std::size_t kMaxPieces = std::size_t{1} << 20;
constexpr std::size_t kMaxPieceBytes = 1024;
constexpr TokenId kNone = -1;

std::string describe(std::string_view name, TokenId id) {
  return quote(name) + ": piece " + std::to_string(id);
}

void check_text(std::string_view text, TokenId id, std::string_view name) {
  if (text.empty()) throw Error(ErrorCode::format, describe(name, id) + " is empty");
  if (text.size() > kMaxPieceBytes) {
    throw Error(ErrorCode::format, describe(name, id) + " has " + std::to_string(text.size()) +
                                       " bytes; at most " + std::to_string(kMaxPieceBytes) +
                                       " are allowed");
  }
  if (!is_valid_utf8(text) || text.find('\0') != text.npos) {
    throw Error(ErrorCode::format, describe(name, id) + " is not UTF-8 text without NUL");
  }
}

int hex_digit(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::uint8_t> parse_byte_piece(std::string_view piece) noexcept {
  if (piece.size() != 6 || !piece.starts_with("<0x") || !piece.ends_with('>')) return {};
  const int high = hex_digit(piece[3]);
  const int low = hex_digit(piece[4]);
  if (high < 0 || low < 0) return {};
  return static_cast<std::uint8_t>(high * 16 + low);
}

Vocabulary::Vocabulary(std::vector<Piece> pieces, TokenId bos_id, TokenId eos_id,
                       std::string_view name)
    : pieces_(std::move(pieces)), bos_id_(bos_id), eos_id_(eos_id), unk_id_(kNone) {
  if (pieces_.size() > kMaxPieces) {
    throw Error(ErrorCode::format, quote(name) + ": " + std::to_string(pieces_.size()) +
                                       " pieces; at most " + std::to_string(kMaxPieces) +
                                       " are allowed");
  }
  byte_ids_.fill(kNone);
  ids_.reserve(pieces_.size());
  for (std::size_t id = 0; id < pieces_.size(); ++id) index(static_cast<TokenId>(id), name);
  check_complete(name);
}

void Vocabulary::index(TokenId id, std::string_view name) {
  const auto& [text, kind] = pieces_[static_cast<std::size_t>(id)];
  check_text(text, id, name);
  if (const auto [other, is_new] = ids_.emplace(text, id); !is_new) {
    throw Error(ErrorCode::format, describe(name, id) + " repeats piece " +
                                       std::to_string(other->second) + ", " + quote(text));
  }
  if (kind == TokenKind::unknown) {
    if (unk_id_ != kNone) {
      throw Error(ErrorCode::format, describe(name, id) + " is a second unknown piece");
    }
    unk_id_ = id;
  }
  if (kind == TokenKind::byte) {
    const auto byte = parse_byte_piece(text);
    if (!byte) {
      throw Error(ErrorCode::format, describe(name, id) + ", " + quote(text) +
                                         ", is a byte piece but not of the form <0xHH>");
    }
    byte_ids_[*byte] = id;
  }
  if (kind == TokenKind::control && utf8_character_size(text) == text.size()) {
    throw Error(ErrorCode::unsupported, describe(name, id) + ", " + quote(text) +
                                            ", is a control piece of a single character, "
                                            "which plain text could turn into");
  }
}

void Vocabulary::check_complete(std::string_view name) const {
  if (unk_id_ == kNone) throw Error(ErrorCode::format, quote(name) + ": no unknown piece");
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    if (byte_ids_[byte] == kNone) {
      throw Error(ErrorCode::unsupported, quote(name) + ": no piece for byte " +
                                              std::to_string(byte) +
                                              "; byte fallback needs all 256");
    }
  }
  for (const TokenId id : {bos_id_, eos_id_}) {
    const bool in_range = id >= 0 && static_cast<std::size_t>(id) < size();
    if (!in_range || (*this)[id].kind != TokenKind::control) {
      throw Error(ErrorCode::format, quote(name) + ": the BOS or EOS id " + std::to_string(id) +
                                         " is not a control piece");
    }
  }
}

const Piece& Vocabulary::operator[](TokenId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= pieces_.size()) {
    throw Error(ErrorCode::invalid_argument, "token id " + std::to_string(id) +
                                                 " is out of range; the vocabulary has " +
                                                 std::to_string(pieces_.size()) + " entries");
  }
  return pieces_[static_cast<std::size_t>(id)];
}

std::optional<TokenId> Vocabulary::find(std::string_view text) const {
  const auto found = ids_.find(text);
  if (found == ids_.end()) return {};
  return found->second;
}

}  // namespace mixtral::detail

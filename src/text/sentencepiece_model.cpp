#include "text/sentencepiece_model.hpp"

#include <algorithm>
#include <cmath>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "text/protobuf.hpp"

namespace mixtral::detail {
namespace {

// Field numbers and defaults: sentencepiece_model.proto, version 0.1.97.
namespace model_field {
constexpr std::uint32_t kPiece = 1, kTrainer = 2, kNormalizer = 3, kDenormalizer = 5;
}
namespace piece_field {
constexpr std::uint32_t kText = 1, kScore = 2, kType = 3;
}
namespace trainer_field {
constexpr std::uint32_t kModelType = 3, kSpaceAsSuffix = 24, kByteFallback = 35, kUnkId = 40,
                        kBosId = 41, kEosId = 42, kUnkSurface = 44, kBosPiece = 46, kEosPiece = 47;
}
namespace normalizer_field {
constexpr std::uint32_t kCharsmap = 2, kAddDummyPrefix = 3, kRemoveExtraSpaces = 4,
                        kEscapeSpaces = 5;
}

constexpr std::uint64_t kBpe = 2;

struct ScoredPiece {
  Piece piece;
  float score = 0;
};

struct TrainerSpec {
  std::uint64_t model_type = 1;
  bool space_as_suffix = false;
  bool byte_fallback = false;
  TokenId unk_id = 0;
  TokenId bos_id = 1;
  TokenId eos_id = 2;
  std::string_view unk_surface = " \xE2\x81\x87 ";
  std::string_view bos_piece = "<s>";
  std::string_view eos_piece = "</s>";
};

struct NormalizerSpec {
  std::string_view charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_spaces = true;
  bool escape_spaces = true;
};

TokenKind to_kind(std::uint64_t type, std::string_view name) {
  switch (type) {
    case 1:
      return TokenKind::normal;
    case 2:
      return TokenKind::unknown;
    case 3:
      return TokenKind::control;
    case 4:
      return TokenKind::user_defined;
    case 5:
      throw Error(ErrorCode::unsupported, quote(name) + ": a piece of type UNUSED");
    case 6:
      return TokenKind::byte;
    default:
      throw Error(ErrorCode::format,
                  quote(name) + ": a piece of unknown type " + std::to_string(type));
  }
}

ScoredPiece parse_piece(std::string_view bytes, std::string_view name) {
  ScoredPiece result;
  ProtobufReader field(bytes, name);
  while (field.next()) {
    switch (field.number()) {
      case piece_field::kText:
        result.piece.text = field.bytes();
        break;
      case piece_field::kScore:
        result.score = field.float32();
        break;
      case piece_field::kType:
        result.piece.kind = to_kind(field.varint(), name);
        break;
      default:
        break;
    }
  }
  if (!std::isfinite(result.score)) {
    throw Error(ErrorCode::format, quote(name) + ": a piece whose score is not finite");
  }
  return result;
}

/// Overwrites the fields that `bytes` has: a message in several parts is the merge of them.
void merge_trainer(std::string_view bytes, std::string_view name, TrainerSpec& spec) {
  ProtobufReader field(bytes, name);
  const auto id = [&] { return static_cast<TokenId>(field.varint()); };  // int32 on the wire
  while (field.next()) {
    switch (field.number()) {
      case trainer_field::kModelType:
        spec.model_type = field.varint();
        break;
      case trainer_field::kSpaceAsSuffix:
        spec.space_as_suffix = field.varint() != 0;
        break;
      case trainer_field::kByteFallback:
        spec.byte_fallback = field.varint() != 0;
        break;
      case trainer_field::kUnkId:
        spec.unk_id = id();
        break;
      case trainer_field::kBosId:
        spec.bos_id = id();
        break;
      case trainer_field::kEosId:
        spec.eos_id = id();
        break;
      case trainer_field::kUnkSurface:
        spec.unk_surface = field.bytes();
        break;
      case trainer_field::kBosPiece:
        spec.bos_piece = field.bytes();
        break;
      case trainer_field::kEosPiece:
        spec.eos_piece = field.bytes();
        break;
      default:
        break;
    }
  }
}

void merge_normalizer(std::string_view bytes, std::string_view name, NormalizerSpec& spec) {
  ProtobufReader field(bytes, name);
  while (field.next()) {
    switch (field.number()) {
      case normalizer_field::kCharsmap:
        spec.charsmap = field.bytes();
        break;
      case normalizer_field::kAddDummyPrefix:
        spec.add_dummy_prefix = field.varint() != 0;
        break;
      case normalizer_field::kRemoveExtraSpaces:
        spec.remove_extra_spaces = field.varint() != 0;
        break;
      case normalizer_field::kEscapeSpaces:
        spec.escape_spaces = field.varint() != 0;
        break;
      default:
        break;
    }
  }
}

void require(bool supported, std::string_view name, const std::string& what) {
  if (!supported) throw Error(ErrorCode::unsupported, quote(name) + ": " + what);
}

void check_trainer(const TrainerSpec& spec, std::string_view name) {
  require(spec.model_type == kBpe, name,
          "model type " + std::to_string(spec.model_type) + "; only BPE (2) is supported");
  require(spec.byte_fallback, name, "no byte fallback");
  require(!spec.space_as_suffix, name, "white space as a suffix");
  require(spec.unk_surface == TrainerSpec{}.unk_surface, name,
          "unk_surface is not the standard \"\xE2\x81\x87\" between spaces");
}

void check_normalizers(const NormalizerSpec& normalizer, const NormalizerSpec& denormalizer,
                       std::string_view name) {
  require(normalizer.charsmap.empty() && denormalizer.charsmap.empty(), name,
          "a normalisation other than identity");
  require(normalizer.add_dummy_prefix, name, "add_dummy_prefix is false; true is expected");
  require(!normalizer.remove_extra_spaces, name,
          "remove_extra_whitespaces is true; false is expected");
  require(normalizer.escape_spaces, name, "escape_whitespaces is false; true is expected");
}

void check_special_piece(const Vocabulary& vocabulary, TokenId id, std::string_view piece,
                         std::string_view name) {
  if (vocabulary[id].text != piece) {
    throw Error(ErrorCode::format, quote(name) + ": the trainer names another piece for id " +
                                       std::to_string(id) + " than the vocabulary, " +
                                       quote(vocabulary[id].text));
  }
}

/// SentencePiece looks user-defined pieces up in a trie and keeps the ends of at most 64 that start
/// at one place; with more it would read beyond its buffer.
void check_user_defined_nesting(const std::vector<Piece>& pieces, std::string_view name) {
  std::vector<std::string_view> texts;
  for (const Piece& piece : pieces) {
    if (piece.kind == TokenKind::user_defined) texts.push_back(piece.text);
  }
  std::sort(texts.begin(), texts.end());
  std::vector<std::string_view> prefixes;  // of the current text, each a prefix of the next
  for (const std::string_view text : texts) {
    while (!prefixes.empty() && !text.starts_with(prefixes.back())) prefixes.pop_back();
    prefixes.push_back(text);
    constexpr std::size_t kMaxNesting = 64;
    require(prefixes.size() <= kMaxNesting, name,
            "more than 64 user-defined pieces are prefixes of each other");
  }
}

}  // namespace

std::uint32_t piece_type(TokenKind kind) noexcept {
  switch (kind) {
    case TokenKind::normal:
      break;
    case TokenKind::unknown:
      return 2;
    case TokenKind::control:
      return 3;
    case TokenKind::user_defined:
      return 4;
    case TokenKind::byte:
      return 6;
  }
  return 1;
}

SentencePieceModel parse_sentencepiece_model(std::string_view bytes, std::string_view name) {
  std::vector<Piece> pieces;
  std::vector<float> scores;
  TrainerSpec trainer;
  NormalizerSpec normalizer;
  NormalizerSpec denormalizer;
  ProtobufReader field(bytes, name);
  while (field.next()) {
    switch (field.number()) {
      case model_field::kPiece: {
        ScoredPiece parsed = parse_piece(field.bytes(), name);
        pieces.push_back(std::move(parsed.piece));
        scores.push_back(parsed.score);
        break;
      }
      case model_field::kTrainer:
        merge_trainer(field.bytes(), name, trainer);
        break;
      case model_field::kNormalizer:
        merge_normalizer(field.bytes(), name, normalizer);
        break;
      case model_field::kDenormalizer:
        merge_normalizer(field.bytes(), name, denormalizer);
        break;
      default:
        break;
    }
  }
  check_trainer(trainer, name);
  check_normalizers(normalizer, denormalizer, name);
  check_user_defined_nesting(pieces, name);
  Vocabulary vocabulary(std::move(pieces), trainer.bos_id, trainer.eos_id, name);
  check_special_piece(vocabulary, trainer.bos_id, trainer.bos_piece, name);
  check_special_piece(vocabulary, trainer.eos_id, trainer.eos_piece, name);
  if (trainer.unk_id != vocabulary.unk_id()) {
    throw Error(ErrorCode::format,
                quote(name) + ": the trainer's unk_id is " + std::to_string(trainer.unk_id) +
                    ", the unknown piece has id " + std::to_string(vocabulary.unk_id()));
  }
  return {std::move(vocabulary), std::move(scores)};
}

std::string serialize(const SentencePieceModel& model) {
  std::string proto;
  std::string message;
  for (std::size_t i = 0; i < model.vocabulary.size(); ++i) {
    const Piece& piece = model.vocabulary[static_cast<TokenId>(i)];
    message.clear();
    write_bytes_field(message, piece_field::kText, piece.text);
    write_float_field(message, piece_field::kScore, model.scores[i]);
    write_varint_field(message, piece_field::kType, piece_type(piece.kind));
    write_bytes_field(proto, model_field::kPiece, message);
  }
  message.clear();
  write_varint_field(message, trainer_field::kModelType, kBpe);
  write_varint_field(message, trainer_field::kByteFallback, 1);
  const auto write_special = [&](std::uint32_t field, TokenId id) {
    write_varint_field(message, field, static_cast<std::uint64_t>(id));
  };
  const Vocabulary& vocabulary = model.vocabulary;
  write_special(trainer_field::kUnkId, vocabulary.unk_id());
  write_special(trainer_field::kBosId, vocabulary.bos_id());
  write_special(trainer_field::kEosId, vocabulary.eos_id());
  write_bytes_field(message, trainer_field::kBosPiece, vocabulary[vocabulary.bos_id()].text);
  write_bytes_field(message, trainer_field::kEosPiece, vocabulary[vocabulary.eos_id()].text);
  write_bytes_field(proto, model_field::kTrainer, message);
  message.clear();
  write_varint_field(message, normalizer_field::kAddDummyPrefix, 1);
  write_varint_field(message, normalizer_field::kRemoveExtraSpaces, 0);
  write_bytes_field(proto, model_field::kNormalizer, message);
  return proto;
}

}  // namespace mixtral::detail

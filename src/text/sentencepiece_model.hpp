// tokenizer.model, a SentencePiece ModelProto, read and checked without SentencePiece.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary.hpp"

namespace mixtral::detail {

/// What encoding needs of a BPE model with byte fallback and no normalisation.
struct SentencePieceModel {
  Vocabulary vocabulary;
  std::vector<float> scores;  // [vocab], finite; the adjacent pair of highest score merges first
};

/// SentencePiece's number for a kind of piece, which GGUF files have too.
std::uint32_t piece_type(TokenKind kind) noexcept;

/// Throws Error(format) for malformed or inconsistent bytes and Error(unsupported) for a model of
/// another kind; the message starts with `name`.
SentencePieceModel parse_sentencepiece_model(std::string_view bytes, std::string_view name);

/// The same model as a ModelProto that holds nothing but the fields checked above.
std::string serialize(const SentencePieceModel& model);

}  // namespace mixtral::detail

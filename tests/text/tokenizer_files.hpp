// Tokenizer files for tests: the committed small model, and files written from a list of pieces.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/text/tokenizer.hpp"

namespace mixtral_test {

struct ScoredPiece {
  std::string text;
  float score = 0;
  mixtral::TokenKind kind = mixtral::TokenKind::normal;
};

/// A SentencePiece model as the file states it; the defaults are those of Mistral's models.
struct ModelFile {
  std::vector<ScoredPiece> pieces;
  std::uint64_t model_type = 2;  // BPE
  bool byte_fallback = true;
  bool space_as_suffix = false;
  std::uint64_t unk_id = 0;
  std::uint64_t bos_id = 1;
  std::uint64_t eos_id = 2;
  std::string bos_piece = "<s>";
  std::string unk_surface = " \xE2\x81\x87 ";
  bool add_dummy_prefix = true;
  bool remove_extra_spaces = false;
  bool escape_spaces = true;
  std::string charsmap = "";
  std::string denormalizer_charsmap = "";
};

/// <unk>, <s>, </s>, [INST] and [/INST] as control pieces, and the 256 bytes.
std::vector<ScoredPiece> special_pieces();

std::string sentencepiece_bytes(const ModelFile& file);

enum class TextHandling { legacy, metaspace };

/// tokenizer.json as transformers converts it from such pieces: a merge for every way to make a
/// piece of two others, the best scores first.
nlohmann::json tokenizer_json(const std::vector<ScoredPiece>& pieces,
                              TextHandling handling = TextHandling::legacy);

std::shared_ptr<const mixtral::Tokenizer> load_sentencepiece(std::string_view bytes);
std::shared_ptr<const mixtral::Tokenizer> load_json(const nlohmann::json& document);

/// The committed model that SentencePiece's own trainer made, with the vocabulary shape of v3.
std::string small_model_bytes();
std::shared_ptr<const mixtral::Tokenizer> small_tokenizer();

/// Its pieces, as our reader gives them, with scores that fit its merges.
std::vector<ScoredPiece> small_pieces();

/// Text of every sort: words, spaces, control names, scripts, emoji, controls, now and then any
/// bytes.
std::string random_text(std::uint64_t seed, bool valid_utf8);

}  // namespace mixtral_test

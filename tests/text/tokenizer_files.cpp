#include "tokenizer_files.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <span>

#include "text/sentencepiece_model.hpp"

namespace mixtral_test {
namespace {

using mixtral::TokenKind;
using nlohmann::json;

void append_varint(std::string& out, std::uint64_t value) {
  while (value > 127) {
    out += static_cast<char>((value & 127) | 128);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

void append_number(std::string& out, unsigned field, std::uint64_t value) {
  append_varint(out, field * 8);
  append_varint(out, value);
}

void append_text(std::string& out, unsigned field, std::string_view value) {
  append_varint(out, field * 8 + 2);
  append_varint(out, value.size());
  out += value;
}

void append_float(std::string& out, unsigned field, float value) {
  append_varint(out, field * 8 + 5);
  char bytes[4];
  std::memcpy(bytes, &value, 4);
  out.append(bytes, 4);
}

std::string normalizer(const ModelFile& file, const std::string& charsmap) {
  std::string out;
  append_text(out, 1, "identity");
  append_text(out, 2, charsmap);
  append_number(out, 3, file.add_dummy_prefix);
  append_number(out, 4, file.remove_extra_spaces);
  append_number(out, 5, file.escape_spaces);
  return out;
}

/// Offsets between the characters of `text`.
std::vector<std::size_t> inner_boundaries(std::string_view text) {
  std::vector<std::size_t> boundaries;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) boundaries.push_back(i);
  }
  return boundaries;
}

/// transformers' generate_merges (convert_slow_tokenizer.py, 4.36).
json merges_of(const std::vector<ScoredPiece>& pieces) {
  std::map<std::string, std::size_t, std::less<>> ids;
  for (std::size_t i = 0; i < pieces.size(); ++i) ids[pieces[i].text] = i;
  struct Split {
    std::string left, right;
    float score;
  };
  std::vector<Split> all;
  for (const ScoredPiece& piece : pieces) {
    std::vector<Split> splits;
    for (const std::size_t at : inner_boundaries(piece.text)) {
      const std::string left = piece.text.substr(0, at);
      const std::string right = piece.text.substr(at);
      if (ids.contains(left) && ids.contains(right)) splits.push_back({left, right, piece.score});
    }
    std::sort(splits.begin(), splits.end(), [&](const Split& a, const Split& b) {
      return std::pair(ids[a.left], ids[a.right]) < std::pair(ids[b.left], ids[b.right]);
    });
    all.insert(all.end(), splits.begin(), splits.end());
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Split& a, const Split& b) { return a.score > b.score; });
  json merges = json::array();
  for (const Split& split : all) merges.push_back(split.left + " " + split.right);
  return merges;
}

}  // namespace

std::vector<ScoredPiece> special_pieces() {
  std::vector<ScoredPiece> pieces = {{"<unk>", 0, TokenKind::unknown},
                                     {"<s>", 0, TokenKind::control},
                                     {"</s>", 0, TokenKind::control},
                                     {"[INST]", 0, TokenKind::control},
                                     {"[/INST]", 0, TokenKind::control}};
  constexpr char kHex[] = "0123456789ABCDEF";
  for (unsigned byte = 0; byte < 256; ++byte) {
    pieces.push_back(
        {std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">", 0, TokenKind::byte});
  }
  return pieces;
}

std::string sentencepiece_bytes(const ModelFile& file) {
  std::string out;
  for (const auto& [text, score, kind] : file.pieces) {
    std::string piece;
    append_text(piece, 1, text);
    append_float(piece, 2, score);
    if (kind != TokenKind::normal) append_number(piece, 3, mixtral::detail::piece_type(kind));
    append_text(out, 1, piece);
  }
  std::string trainer;
  append_text(trainer, 1, "corpus");  // a field that readers skip
  append_number(trainer, 3, file.model_type);
  append_number(trainer, 24, file.space_as_suffix);
  append_number(trainer, 35, file.byte_fallback);
  append_number(trainer, 40, file.unk_id);
  append_number(trainer, 41, file.bos_id);
  append_number(trainer, 42, file.eos_id);
  append_number(trainer, 43, ~std::uint64_t{0});  // pad_id -1
  append_text(trainer, 44, file.unk_surface);
  append_text(trainer, 46, file.bos_piece);
  append_text(out, 2, trainer);
  append_text(out, 3, normalizer(file, file.charsmap));
  append_text(out, 5, normalizer(file, file.denormalizer_charsmap));
  return out;
}

json tokenizer_json(const std::vector<ScoredPiece>& pieces, TextHandling handling) {
  json vocab = json::object();
  json added = json::array();
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    vocab[pieces[i].text] = i;
    const TokenKind kind = pieces[i].kind;
    if (kind == TokenKind::normal || kind == TokenKind::byte) continue;
    added.push_back({{"id", i},
                     {"content", pieces[i].text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", kind != TokenKind::user_defined}});
  }
  json document = {{"version", "1.0"},
                   {"truncation", nullptr},
                   {"padding", nullptr},
                   {"added_tokens", added},
                   {"normalizer", nullptr},
                   {"pre_tokenizer", nullptr},
                   {"model",
                    {{"type", "BPE"},
                     {"dropout", nullptr},
                     {"unk_token", "<unk>"},
                     {"continuing_subword_prefix", nullptr},
                     {"end_of_word_suffix", nullptr},
                     {"fuse_unk", true},
                     {"byte_fallback", true},
                     {"vocab", vocab},
                     {"merges", merges_of(pieces)}}}};
  if (handling == TextHandling::legacy) {
    document["normalizer"] = json::parse(R"({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]})");
  } else {
    document["pre_tokenizer"] = json::parse(
        R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false})");
  }
  return document;
}

std::shared_ptr<const mixtral::Tokenizer> load_sentencepiece(std::string_view bytes) {
  return mixtral::parse_sentencepiece(std::as_bytes(std::span(bytes)), "test.model");
}

std::shared_ptr<const mixtral::Tokenizer> load_json(const json& document) {
  const std::string text = document.dump();
  return mixtral::parse_tokenizer_json(std::as_bytes(std::span(text)), "test.json");
}

std::string small_model_bytes() {
  std::ifstream file(MIXTRAL_TEXT_DATA_DIR "/small.model", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::shared_ptr<const mixtral::Tokenizer> small_tokenizer() {
  return load_sentencepiece(small_model_bytes());
}

std::vector<ScoredPiece> small_pieces() {
  const auto tokenizer = small_tokenizer();
  std::vector<ScoredPiece> pieces;
  for (std::size_t i = 0; i < tokenizer->vocab_size(); ++i) {
    const auto id = static_cast<mixtral::TokenId>(i);
    pieces.push_back(
        {std::string(tokenizer->piece(id)), -static_cast<float>(i), tokenizer->kind(id)});
  }
  return pieces;
}

std::string random_text(std::uint64_t seed, bool valid_utf8) {
  static const std::vector<std::string> kParts = {"the",
                                                  "soup",
                                                  "▁",
                                                  "▁▁",
                                                  " ",
                                                  "  ",
                                                  "   ",
                                                  "\n",
                                                  "\t",
                                                  "\r\n",
                                                  "12",
                                                  "345",
                                                  "e",
                                                  "in",
                                                  "th",
                                                  "<s>",
                                                  "</s>",
                                                  "<unk>",
                                                  "<0x0A>",
                                                  "[INST]",
                                                  "[/INST]",
                                                  "[REF_1]",
                                                  "[REF_12]",
                                                  "[REF_",
                                                  "naïve",
                                                  "größer",
                                                  "Москва",
                                                  "日本語",
                                                  "한국어",
                                                  "مرحبا",
                                                  "हिन्दी",
                                                  "ไทย",
                                                  "🙂",
                                                  "👩‍👧",
                                                  "e\xCC\x81",
                                                  "\xEF\xBF\xBD",
                                                  "\xEF\xBB\xBF",
                                                  std::string(1, '\0'),
                                                  "\x01",
                                                  "\x7F",
                                                  "㐂"};
  std::mt19937_64 random(seed);
  std::string text;
  for (std::uint64_t parts = random() % 24; parts > 0; --parts) {
    if (!valid_utf8 && random() % 4 == 0) text += static_cast<char>(random());
    text += kParts[random() % kParts.size()];
    if (random() % 8 == 0) text.append(random() % 40, ' ');
  }
  return text;
}

}  // namespace mixtral_test

// Byte-pair encoding by merge rules, as SentencePiece orders the merges.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/vocabulary.hpp"

namespace mixtral::detail {

/// Two adjacent pieces that may become one.
struct Merge {
  TokenId left;
  TokenId right;
  TokenId result;
};

/// Splits text into pieces. Immutable; thread-safe.
class BytePairEncoder {
 public:
  /// `merges` with the strongest first. `vocabulary` must outlive the encoder.
  BytePairEncoder(const Vocabulary& vocabulary, std::span<const Merge> merges);

  /// Ids of `text`, valid UTF-8 of less than 2^31 bytes whose spaces are U+2581. User-defined
  /// pieces are found first (longest match, left to right) and never merge; control pieces never
  /// result. O(n log n) in the length of `text`.
  std::vector<TokenId> encode(std::string_view text) const;

 private:
  struct Rule {
    std::uint32_t rank;  // lower merges first; equal ranks from left to right
    TokenId result;
  };
  struct Symbol {
    std::int32_t previous;
    std::int32_t next;
    std::int32_t begin;  // byte offset in the text
    std::int32_t size;   // bytes; 0 once merged into its left neighbour
    TokenId id;          // or kNoId
    bool frozen;
  };

  std::vector<Symbol> split(std::string_view text) const;
  std::size_t user_defined_size(std::string_view text) const;
  void merge(std::vector<Symbol>& symbols) const;
  void append_ids(std::vector<TokenId>& ids, const Symbol& symbol, std::string_view text) const;
  const Rule* find_rule(TokenId left, TokenId right) const;

  const Vocabulary& vocabulary_;
  std::unordered_map<std::uint64_t, Rule> rules_;  // by the pair of ids
  std::vector<std::size_t> user_defined_sizes_;    // distinct, longest first
  std::bitset<256> user_defined_leads_;            // first bytes
};

}  // namespace mixtral::detail

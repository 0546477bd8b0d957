#include "text/bpe.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <string>

#include "core/utf8.hpp"

namespace mixtral::detail {
namespace {

constexpr TokenId kNoId = -1;
constexpr std::int32_t kNoSymbol = -1;

std::uint64_t pair_key(TokenId left, TokenId right) noexcept {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

bool is_run_of_spaces(std::string_view piece) noexcept {
  while (piece.starts_with(kSpaceSymbol)) piece.remove_prefix(kSpaceSymbol.size());
  return piece.empty();
}

/// Llama's and Mistral's vocabularies give every run of spaces one same, lowest score, so that such
/// runs merge last and grow from the left. Merge lists can't say "same". It shows in that these
/// merges close the list although their ids are lower than those of pieces merged before; the index
/// where they start, or merges.size().
std::size_t first_tied_merge(const Vocabulary& vocabulary, std::span<const Merge> merges) {
  std::size_t first = merges.size();
  TokenId lowest_run = std::numeric_limits<TokenId>::max();
  while (first > 0 && is_run_of_spaces(vocabulary[merges[first - 1].result].text)) {
    --first;
    lowest_run = std::min(lowest_run, merges[first].result);
  }
  const auto before = merges.first(first);
  const bool out_of_order = std::any_of(
      before.begin(), before.end(), [&](const Merge& merge) { return merge.result > lowest_run; });
  return out_of_order ? first : merges.size();
}

/// A possible merge of the symbols at `left` and after it.
struct Candidate {
  std::uint32_t rank;
  std::int32_t left;
  std::int32_t size;  // bytes of both; differs from the present ones when either has changed
  TokenId result;

  bool operator>(const Candidate& other) const noexcept {
    return rank != other.rank ? rank > other.rank : left > other.left;
  }
};

}  // namespace

BytePairEncoder::BytePairEncoder(const Vocabulary& vocabulary, std::span<const Merge> merges)
    : vocabulary_(vocabulary) {
  // SentencePiece scores a piece, not a way to make it: the ways listed in a row share one rank.
  const std::size_t first_tied = first_tied_merge(vocabulary, merges);
  std::uint32_t rank = 0;
  rules_.reserve(merges.size());
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right, result] = merges[i];
    if (i > 0 && i <= first_tied && result != merges[i - 1].result) ++rank;
    if (vocabulary[result].kind == TokenKind::normal) {
      rules_.try_emplace(pair_key(left, right), Rule{rank, result});
    }
  }
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto& [text, kind] = vocabulary[static_cast<TokenId>(i)];
    if (kind != TokenKind::user_defined) continue;
    user_defined_sizes_.push_back(text.size());
    user_defined_leads_.set(static_cast<unsigned char>(text[0]));
  }
  std::sort(user_defined_sizes_.begin(), user_defined_sizes_.end(), std::greater());
  user_defined_sizes_.erase(std::unique(user_defined_sizes_.begin(), user_defined_sizes_.end()),
                            user_defined_sizes_.end());
}

std::vector<TokenId> BytePairEncoder::encode(std::string_view text) const {
  std::vector<Symbol> symbols = split(text);
  merge(symbols);
  std::vector<TokenId> ids;
  for (std::int32_t i = symbols.empty() ? kNoSymbol : 0; i != kNoSymbol;) {
    const Symbol& symbol = symbols[static_cast<std::size_t>(i)];
    append_ids(ids, symbol, text);
    i = symbol.next;
  }
  return ids;
}

std::vector<BytePairEncoder::Symbol> BytePairEncoder::split(std::string_view text) const {
  std::vector<Symbol> symbols;
  symbols.reserve(text.size());
  for (std::size_t begin = 0; begin < text.size();) {
    const std::string_view rest = text.substr(begin);
    const std::size_t frozen_size = user_defined_size(rest);
    const std::size_t size = frozen_size != 0 ? frozen_size : utf8_character_size(rest);
    const TokenKind kind = frozen_size != 0 ? TokenKind::user_defined : TokenKind::normal;
    const auto id = vocabulary_.find(rest.substr(0, size));
    const auto index = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({.previous = index - 1,
                       .next = index + 1,
                       .begin = static_cast<std::int32_t>(begin),
                       .size = static_cast<std::int32_t>(size),
                       .id = id && vocabulary_[*id].kind == kind ? *id : kNoId,
                       .frozen = frozen_size != 0});
    begin += size;
  }
  if (!symbols.empty()) symbols.back().next = kNoSymbol;
  return symbols;
}

std::size_t BytePairEncoder::user_defined_size(std::string_view text) const {
  if (!user_defined_leads_[static_cast<unsigned char>(text[0])]) return 0;
  for (const std::size_t size : user_defined_sizes_) {
    if (size > text.size()) continue;
    const auto id = vocabulary_.find(text.substr(0, size));
    if (id && vocabulary_[*id].kind == TokenKind::user_defined) return size;
  }
  return 0;
}

void BytePairEncoder::merge(std::vector<Symbol>& symbols) const {
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto at = [&](std::int32_t index) -> Symbol& {
    return symbols[static_cast<std::size_t>(index)];
  };
  const auto consider = [&](std::int32_t left) {
    if (left == kNoSymbol || at(left).next == kNoSymbol) return;
    const Symbol& first = at(left);
    const Symbol& second = at(first.next);
    if (first.frozen || second.frozen) return;
    if (const Rule* rule = find_rule(first.id, second.id)) {
      candidates.push({rule->rank, left, first.size + second.size, rule->result});
    }
  };

  for (std::size_t i = 0; i < symbols.size(); ++i) consider(static_cast<std::int32_t>(i));
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = at(best.left);
    if (left.size == 0 || left.next == kNoSymbol) continue;
    Symbol& right = at(left.next);
    if (left.size + right.size != best.size) continue;
    left.size = best.size;
    left.id = best.result;
    left.next = right.next;
    right.size = 0;
    if (left.next != kNoSymbol) at(left.next).previous = best.left;
    consider(left.previous);
    consider(best.left);
  }
}

const BytePairEncoder::Rule* BytePairEncoder::find_rule(TokenId left, TokenId right) const {
  if (left == kNoId || right == kNoId) return nullptr;
  const auto found = rules_.find(pair_key(left, right));
  return found == rules_.end() ? nullptr : &found->second;
}

void BytePairEncoder::append_ids(std::vector<TokenId>& ids, const Symbol& symbol,
                                 std::string_view text) const {
  if (symbol.id != kNoId) {
    ids.push_back(symbol.id);
    return;
  }
  for (const char byte :
       text.substr(static_cast<std::size_t>(symbol.begin), static_cast<std::size_t>(symbol.size))) {
    ids.push_back(vocabulary_.byte_id(static_cast<std::uint8_t>(byte)));
  }
}

}  // namespace mixtral::detail

// The tokens of one sequence, of which a beginning has been through the network.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mixtral/core/error.hpp"
#include "mixtral/layers/kv_cache.hpp"
#include "mixtral/model/mixtral.hpp"

namespace mixtral::detail {

/// Tokens and the key/value cache of as many of them as have been evaluated. The others are
/// pending: the prompt before it is processed, later the token that was sampled last.
class Sequence {
 public:
  Sequence(const Config& config, std::size_t n_ctx, DType cache_dtype)
      : Sequence(KvCache(config, n_ctx, cache_dtype), {}) {}

  /// `tokens`, of which those that `cache` holds have been evaluated.
  Sequence(KvCache cache, std::span<const TokenId> tokens) : cache_(std::move(cache)) {
    tokens_.reserve(cache_.capacity());
    append(tokens);
  }

  std::span<const TokenId> tokens() const noexcept { return tokens_; }
  std::span<const TokenId> evaluated() const noexcept { return tokens().first(cache_.size()); }
  std::span<const TokenId> pending() const noexcept { return tokens().subspan(cache_.size()); }
  std::size_t capacity() const noexcept { return cache_.capacity(); }
  KvCache& cache() noexcept { return cache_; }
  const KvCache& cache() const noexcept { return cache_; }

  void push(TokenId id) { tokens_.push_back(id); }
  void append(std::span<const TokenId> ids) {
    tokens_.insert(tokens_.end(), ids.begin(), ids.end());
  }

  void rewind(std::size_t size) {
    if (size > tokens_.size()) {
      throw Error(ErrorCode::invalid_argument, "rewind: expected at most the " +
                                                   std::to_string(tokens_.size()) +
                                                   " tokens held, found " + std::to_string(size));
    }
    cache_.truncate(std::min(size, cache_.size()));
    tokens_.resize(size);
  }

  /// Holds `ids` instead, and keeps what has been evaluated of their common beginning.
  void become(std::span<const TokenId> ids) {
    const std::size_t longest = std::min(ids.size(), tokens_.size());
    const auto split = std::mismatch(ids.begin(), ids.begin() + longest, tokens_.begin()).first;
    rewind(split - ids.begin());
    append({split, ids.end()});
  }

  /// Makes the tokens from `first` on pending, so that their logits can be had (again).
  void reopen(std::size_t first) { cache_.truncate(std::min(first, cache_.size())); }

  /// The first `n_tokens` pending tokens, and the logits after those of them that are number
  /// `wanted` or later.
  BatchItem next_item(std::size_t n_tokens, std::size_t wanted) {
    const std::size_t end = cache_.size() + n_tokens;
    return {&cache_, pending().first(n_tokens), LogitsFor{end - std::min(wanted, end)}};
  }

  Sequence clone() const { return Sequence(cache_.clone(), tokens_); }

 private:
  KvCache cache_;
  std::vector<TokenId> tokens_;  // capacity n_ctx
};

}  // namespace mixtral::detail

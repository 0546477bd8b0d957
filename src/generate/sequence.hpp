// The tokens of one sequence, of which a beginning has been through the network.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "mixtral/core/error.hpp"
#include "mixtral/layers/kv_cache.hpp"

namespace mixtral::detail {

/// Tokens and the key/value cache of as many of them as have been evaluated. The others are
/// pending: the prompt before it is processed, later the token that was sampled last.
class Sequence {
 public:
  Sequence(const Config& config, std::size_t n_ctx, DType cache_dtype)
      : Sequence(KvCache(config, n_ctx, cache_dtype), {}) {}

  std::span<const TokenId> tokens() const noexcept { return tokens_; }
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

  /// Makes the last token pending if none is, so that its logits can be had (again).
  void reopen_last() {
    if (pending().empty()) cache_.truncate(cache_.size() - 1);
  }

  Sequence clone() const { return Sequence(cache_.clone(), tokens_); }

 private:
  Sequence(KvCache cache, const std::vector<TokenId>& tokens) : cache_(std::move(cache)) {
    tokens_.reserve(cache_.capacity());
    tokens_ = tokens;
  }

  KvCache cache_;
  std::vector<TokenId> tokens_;  // capacity n_ctx
};

}  // namespace mixtral::detail

// Keys and values of finished sequences, for prompts that begin as they did.
#pragma once

#include <cstddef>
#include <list>
#include <span>
#include <vector>

#include "generate/sequence.hpp"

namespace mixtral::detail {

/// Fewer positions than this aren't worth a copy.
inline constexpr std::size_t kMinShared = 16;

/// How many ids two sequences begin with in common.
std::size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) noexcept;

/// The beginning of a sequence that has been evaluated already.
struct EvaluatedPrefix {
  const KvCache* cache = nullptr;  // null: there is none
  std::size_t size = 0;            // positions, at least kMinShared unless 0
};

/// Whole sequences within a budget of memory; what was used least recently goes first.
class PrefixCache {
 public:
  PrefixCache(const Config& config, DType dtype, std::size_t max_bytes)
      : config_(config), dtype_(dtype), max_bytes_(max_bytes) {}

  /// The longest beginning of `ids` that a sequence here has; this counts as a use of it. Valid
  /// until the cache changes.
  EvaluatedPrefix find(std::span<const TokenId> ids);

  /// Takes what `sequence` has evaluated, unless another one here holds all but a few positions of
  /// it. Those of which it holds all but a few in turn are dropped.
  void keep(Sequence sequence);

  /// Drops what was used least recently. False when nothing is left.
  bool evict();

  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Entry {
    std::vector<TokenId> ids;
    KvCache cache;
  };
  using Entries = std::list<Entry>;

  void drop(Entries::iterator entry);

  const Config& config_;
  DType dtype_;
  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  Entries entries_;  // the last used first
};

}  // namespace mixtral::detail

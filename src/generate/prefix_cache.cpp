#include "generate/prefix_cache.hpp"

#include <algorithm>
#include <utility>

namespace mixtral::detail {

std::size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) noexcept {
  const std::size_t longest = std::min(a.size(), b.size());
  return std::mismatch(a.begin(), a.begin() + longest, b.begin()).first - a.begin();
}

EvaluatedPrefix PrefixCache::find(std::span<const TokenId> ids) {
  std::size_t longest = kMinShared - 1;
  auto best = entries_.end();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    const std::size_t shared = common_prefix(ids, entry->ids);
    if (shared <= longest) continue;
    longest = shared;
    best = entry;
  }
  if (best == entries_.end()) return {};
  entries_.splice(entries_.begin(), entries_, best);
  return {&best->cache, longest};
}

void PrefixCache::keep(Sequence sequence) {
  const std::span<const TokenId> ids = sequence.evaluated();
  if (ids.size() < kMinShared || find(ids).size + kMinShared > ids.size()) return;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    if (common_prefix(ids, entry->ids) + kMinShared > entry->ids.size()) drop(entry);
    entry = next;
  }

  // Room for what might have been generated isn't kept.
  const std::size_t n_bytes = KvCache::bytes_for(config_, ids.size(), dtype_);
  if (n_bytes > max_bytes_) return;
  while (bytes_ + n_bytes > max_bytes_) evict();
  KvCache& cache = sequence.cache();
  entries_.push_front({{ids.begin(), ids.end()},
                       n_bytes < cache.bytes() ? cache.copy(ids.size(), ids.size())
                                               : std::move(cache)});
  bytes_ += n_bytes;
}

bool PrefixCache::evict() {
  if (entries_.empty()) return false;
  drop(std::prev(entries_.end()));
  return true;
}

void PrefixCache::drop(Entries::iterator entry) {
  bytes_ -= entry->cache.bytes();
  entries_.erase(entry);
}

}  // namespace mixtral::detail

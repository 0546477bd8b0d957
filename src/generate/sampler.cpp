#include "mixtral/generate/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "generate/portable_exp.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

constexpr double kImpossible = -std::numeric_limits<double>::infinity();

[[noreturn]] void reject(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

// Rejects NaN too: every comparison with it is false.
void require(bool holds, const char* field, const char* expected, double found) {
  if (!holds) {
    reject(std::string("sampling option ") + field + ": expected " + expected + ", found " +
           std::to_string(found));
  }
}

void require_id(TokenId id, std::size_t vocab, const char* where) {
  if (id < 0 || static_cast<std::size_t>(id) >= vocab) {
    reject(std::string(where) + ": expected a token id below " + std::to_string(vocab) +
           ", found " + std::to_string(id));
  }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
constexpr std::uint64_t mix(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Number `index` of the stream that `seed` starts, uniform in [0, 1). The seed is mixed first:
/// streams of neighbouring seeds would otherwise be shifts of one another.
constexpr double uniform(std::uint64_t seed, std::uint64_t index) noexcept {
  constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15u;
  return static_cast<double>(mix(mix(seed + kGamma) + (index + 1) * kGamma) >> 11) * 0x1p-53;
}

/// Likelier first, ties to the lower id: a total order, so every sort gives one result.
constexpr auto kByScore = [](const auto& a, const auto& b) {
  return a.score != b.score ? a.score > b.score : a.id < b.id;
};

}  // namespace

void validate(const SamplingOptions& options, std::size_t vocab) {
  for (const LogitBias& bias : options.logit_bias) {
    require_id(bias.id, vocab, "sampling option logit_bias");
    require(bias.bias < std::numeric_limits<float>::infinity(), "logit_bias",
            "a number or -infinity", bias.bias);
  }
  require(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty),
          "repetition_penalty", "a positive number", options.repetition_penalty);
  require(std::isfinite(options.frequency_penalty), "frequency_penalty", "a finite number",
          options.frequency_penalty);
  require(std::isfinite(options.presence_penalty), "presence_penalty", "a finite number",
          options.presence_penalty);
  require(options.temperature >= 0 && std::isfinite(options.temperature), "temperature",
          "a number >= 0", options.temperature);
  require(options.top_p > 0 && options.top_p <= 1, "top_p", "a number in (0, 1]", options.top_p);
  require(options.min_p >= 0 && options.min_p <= 1, "min_p", "a number in [0, 1]", options.min_p);
}

Sampler::Sampler(const SamplingOptions& options, std::size_t vocab)
    : options_(options), scores_(vocab), n_generated_(vocab), seen_(vocab) {
  validate(options, vocab);
  seen_ids_.reserve(vocab);
  if (options.temperature > 0) candidates_.reserve(vocab);
}

void Sampler::add_prompt(std::span<const TokenId> ids) {
  for (TokenId id : ids) {
    require_id(id, scores_.size(), "prompt");
    remember(id);
  }
}

void Sampler::remember(TokenId id) {
  if (!seen_[id]) seen_ids_.push_back(id);
  seen_[id] = true;
}

TokenId Sampler::sample(std::span<const float> logits) {
  score(logits);
  const TokenId id = options_.temperature == 0 ? greedy() : draw();
  remember(id);
  ++n_generated_[id];
  return id;
}

std::span<const TokenProbability> Sampler::distribution(std::span<const float> logits) & {
  score(logits);
  distribution_.clear();
  if (options_.temperature == 0) {
    distribution_.push_back({greedy(), 1.0});
    return distribution_;
  }
  keep_candidates();
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  for (const Candidate& candidate : candidates_) {
    distribution_.push_back({candidate.id, candidate.weight / total});
  }
  return distribution_;
}

void Sampler::score(std::span<const float> logits) {
  if (logits.size() != scores_.size()) {
    reject("sampler: expected " + std::to_string(scores_.size()) + " logits, found " +
           std::to_string(logits.size()));
  }
  std::copy(logits.begin(), logits.end(), scores_.begin());
  for (const LogitBias& bias : options_.logit_bias) scores_[bias.id] += bias.bias;
  for (TokenId id : seen_ids_) {
    double& value = scores_[id];
    value = value < 0 ? value * options_.repetition_penalty : value / options_.repetition_penalty;
    value -= n_generated_[id] * options_.frequency_penalty;
    if (n_generated_[id] > 0) value -= options_.presence_penalty;
  }
  bool any_possible = false;
  for (std::size_t id = 0; id < scores_.size(); ++id) {
    if (!(scores_[id] < std::numeric_limits<double>::infinity())) {
      reject("sampler: expected finite logits, found " + std::to_string(logits[id]) +
             " for token " + std::to_string(id));
    }
    any_possible |= scores_[id] > kImpossible;
  }
  if (!any_possible) reject("sampler: no token has a logit above -infinity");
}

TokenId Sampler::greedy() const noexcept {
  return static_cast<TokenId>(std::max_element(scores_.begin(), scores_.end()) - scores_.begin());
}

void Sampler::keep_candidates() {
  candidates_.clear();
  const double highest = scores_[greedy()];
  for (std::size_t id = 0; id < scores_.size(); ++id) {
    if (scores_[id] == kImpossible) continue;
    candidates_.push_back({static_cast<TokenId>(id), scores_[id], 0.0});
  }
  if (options_.top_k > 0) keep_top_k();
  for (Candidate& candidate : candidates_) {
    candidate.weight = detail::portable_exp((candidate.score - highest) / options_.temperature);
  }
  if (options_.top_p < 1) keep_top_p();
  if (options_.min_p > 0) keep_min_p();
}

void Sampler::keep_top_k() {
  const std::size_t k = std::min(options_.top_k, candidates_.size());
  std::partial_sort(candidates_.begin(), candidates_.begin() + k, candidates_.end(), kByScore);
  candidates_.resize(k);
}

void Sampler::keep_top_p() {
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  const double enough = options_.top_p * total;

  // A few tokens hold most of the mass, so sorting goes on only as far as needed.
  double sum = 0;
  std::size_t n_kept = 0;
  for (std::size_t n_sorted = 0; n_kept < candidates_.size() && sum < enough; ++n_kept) {
    if (n_kept == n_sorted) {
      const std::size_t more =
          std::min(candidates_.size(), std::max<std::size_t>(64, 4 * n_sorted));
      std::partial_sort(candidates_.begin() + n_sorted, candidates_.begin() + more,
                        candidates_.end(), kByScore);
      n_sorted = more;
    }
    sum += candidates_[n_kept].weight;
  }
  candidates_.resize(n_kept);
}

void Sampler::keep_min_p() {
  std::erase_if(candidates_,
                [&](const Candidate& candidate) { return candidate.weight < options_.min_p; });
}

TokenId Sampler::draw() {
  keep_candidates();
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  const double target = uniform(options_.seed, n_drawn_++) * total;
  double sum = 0;
  for (const Candidate& candidate : candidates_) {
    sum += candidate.weight;
    if (sum > target) return candidate.id;
  }
  // Not reached: target < total, and the sums were added in the same order.
  return candidates_.front().id;
}

}  // namespace mixtral

#include "mixtral/generate/logprobs.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

void require_id(std::span<const float> logits, TokenId id) {
  if (id < 0 || static_cast<std::size_t>(id) >= logits.size()) {
    throw Error(ErrorCode::invalid_argument, "logprob: expected a token id below " +
                                                 std::to_string(logits.size()) + ", found " +
                                                 std::to_string(id));
  }
}

/// The likeliest tokens, given the log_sum_exp of `logits`.
void select_top(std::span<const float> logits, double normaliser, std::size_t n,
                std::vector<TokenLogprob>& out) {
  const std::size_t n_kept = std::min(n, logits.size());
  const auto likelier = [](const TokenLogprob& a, const TokenLogprob& b) {
    return a.logprob != b.logprob ? a.logprob > b.logprob : a.id < b.id;
  };
  // A heap of the best so far, the least likely of them on top.
  out.clear();
  if (n_kept == 0) return;
  for (std::size_t id = 0; id < logits.size(); ++id) {
    const TokenLogprob token{static_cast<TokenId>(id), logits[id] - normaliser};
    if (out.size() < n_kept) {
      out.push_back(token);
      std::push_heap(out.begin(), out.end(), likelier);
    } else if (likelier(token, out.front())) {
      std::pop_heap(out.begin(), out.end(), likelier);
      out.back() = token;
      std::push_heap(out.begin(), out.end(), likelier);
    }
  }
  std::sort_heap(out.begin(), out.end(), likelier);
}

}  // namespace

double log_sum_exp(std::span<const float> logits) {
  if (logits.empty()) throw Error(ErrorCode::invalid_argument, "log_sum_exp: no logits");
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit - highest);
  return highest + std::log(sum);
}

double logprob(std::span<const float> logits, TokenId id) {
  require_id(logits, id);
  return logits[id] - log_sum_exp(logits);
}

void top_logprobs(std::span<const float> logits, std::size_t n, std::vector<TokenLogprob>& out) {
  select_top(logits, log_sum_exp(logits), n, out);
}

double token_logprobs(std::span<const float> logits, TokenId id, std::size_t n,
                      std::vector<TokenLogprob>& out) {
  require_id(logits, id);
  const double normaliser = log_sum_exp(logits);
  select_top(logits, normaliser, n, out);
  return logits[id] - normaliser;
}

}  // namespace mixtral

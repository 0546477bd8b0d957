// How likely a model finds given continuations of given texts.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "mixtral/generate/batch.hpp"

namespace mixtral {

struct ScoreRequest {
  std::vector<TokenId> context;  ///< at least one token, such as BOS
  std::vector<TokenId> continuation;
};

struct ContinuationScore {
  double logprob = 0;                   ///< sum of token_logprobs
  bool is_greedy = true;                ///< each token is the likeliest after those before it
  std::vector<double> token_logprobs;  ///< ln of the model's probability of each token
};

/// Sees how many requests are done; returning false cancels.
using ScoreCallback = std::function<bool(std::size_t done, std::size_t total)>;

/// The scores of `requests`, in their order. What requests have in common at their beginning is
/// computed once where batch options allow it, best when they come one after the other. Throws
/// Error(invalid_argument) for a request without context or with an id out of range,
/// Error(capacity) for one that exceeds n_ctx, Error(cancelled) when `on_progress` asks for it.
std::vector<ContinuationScore> score(const Model& model, std::span<const ScoreRequest> requests,
                                     const BatchOptions& options = {},
                                     const ScoreCallback& on_progress = {});

/// The same in a batch, which keeps its prefixes from call to call. Throws Error(invalid_argument)
/// when it has other requests.
std::vector<ContinuationScore> score(Batch& batch, std::span<const ScoreRequest> requests,
                                     const ScoreCallback& on_progress = {});

}  // namespace mixtral

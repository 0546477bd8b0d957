// Log-probabilities of tokens, straight from the model's logits.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "mixtral/core/tensor.hpp"

namespace mixtral {

struct TokenLogprob {
  TokenId id;
  double logprob;  ///< natural logarithm, <= 0
};

/// ln(sum of exp(logits)), in double.
double log_sum_exp(std::span<const float> logits);

/// ln of the softmax of `logits` at `id`: what the model itself thinks, before bias, penalties,
/// temperature and filters. Throws Error(invalid_argument) for an id out of range.
double logprob(std::span<const float> logits, TokenId id);

/// The min(n, vocab) likeliest tokens, likeliest first, ties to the lower id, into `out`.
void top_logprobs(std::span<const float> logits, std::size_t n, std::vector<TokenLogprob>& out);

/// Both at once, which takes half the time.
double token_logprobs(std::span<const float> logits, TokenId id, std::size_t n,
                      std::vector<TokenLogprob>& out);

}  // namespace mixtral

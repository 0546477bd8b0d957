// Chooses the next token from logits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "mixtral/core/tensor.hpp"

namespace mixtral {

/// Added to one token's logit before anything else. -infinity forbids the token.
struct LogitBias {
  TokenId id;
  float bias;
};

/// How a token is chosen. The steps apply in this order, which is that of Hugging Face's
/// LogitsProcessors; each default leaves its step out.
struct SamplingOptions {
  std::vector<LogitBias> logit_bias = {};

  /// Divides a positive and multiplies a negative logit of every token in the prompt or the
  /// generated text (CTRL, arXiv:1909.05858; Hugging Face's repetition_penalty). > 0.
  double repetition_penalty = 1;

  /// Subtracted per occurrence in the generated text, prompt excluded (OpenAI, vLLM).
  double frequency_penalty = 0;

  /// Subtracted once from every token in the generated text, prompt excluded (OpenAI, vLLM).
  double presence_penalty = 0;

  /// Divides the logits. 0 = greedy: the highest logit wins, and the steps below and the seed don't
  /// matter. >= 0.
  double temperature = 0;

  /// Keeps the k highest logits, ties to the lower id. 0 = all.
  std::size_t top_k = 0;

  /// Keeps the fewest tokens, likeliest first, whose probabilities sum to at least this. (0, 1].
  double top_p = 1;

  /// Keeps tokens at least this fraction as likely as the likeliest. [0, 1].
  double min_p = 0;

  /// Where the random numbers start. The same seed, options and logits give the same tokens on
  /// every machine and build.
  std::uint64_t seed = 0;
};

/// Throws Error(invalid_argument), naming the field, when one is outside its range.
void validate(const SamplingOptions& options, std::size_t vocab);

struct TokenProbability {
  TokenId id;
  double probability;
};

/// Draws tokens for one sequence and remembers them for the penalties. One thread at a time.
///
/// The n-th sampled token takes the n-th number of a counter-based generator (SplitMix64), and all
/// arithmetic of the choice is IEEE 754 double without the C library's functions. Nothing is
/// allocated after the first token.
class Sampler {
 public:
  /// Throws what `validate` throws.
  Sampler(const SamplingOptions& options, std::size_t vocab);

  /// Counts `ids` as prompt. Throws Error(invalid_argument) for an id out of range.
  void add_prompt(std::span<const TokenId> ids);

  /// Chooses a token by `logits` [vocab] and counts it as generated. Throws Error(invalid_argument)
  /// when a logit is NaN or +infinity, or none is above -infinity.
  TokenId sample(std::span<const float> logits);

  /// What `sample` would draw from: the tokens that every step keeps, and their probabilities,
  /// which sum to 1. Greedy gives one token. Valid until the next call. Throws as `sample` does.
  std::span<const TokenProbability> distribution(std::span<const float> logits) &;

 private:
  struct Candidate {
    TokenId id;
    double score;   // logit after bias and penalties
    double weight;  // exp((score - highest score) / temperature)
  };

  void score(std::span<const float> logits);
  TokenId greedy() const noexcept;
  void keep_candidates();
  void keep_top_k();
  void keep_top_p();
  void keep_min_p();
  TokenId draw();
  void remember(TokenId id);

  SamplingOptions options_;
  std::vector<double> scores_;         // [vocab]
  std::vector<Candidate> candidates_;  // capacity vocab
  std::vector<TokenProbability> distribution_;
  std::vector<std::uint32_t> n_generated_;  // [vocab] occurrences in the generated text
  std::vector<bool> seen_;                  // [vocab] in the prompt or the generated text
  std::vector<TokenId> seen_ids_;           // those with seen_, each once
  std::uint64_t n_drawn_ = 0;
};

}  // namespace mixtral

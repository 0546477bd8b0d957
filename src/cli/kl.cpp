#include "kl.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "mixtral/core/error.hpp"
#include "mixtral/generate/logprobs.hpp"

namespace mixtral::cli {
namespace {

std::size_t likeliest(std::span<const float> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

/// sum of p (ln p - ln q) over the vocabulary, where p and q are the softmaxes of logits whose
/// log_sum_exp is given.
double kl_divergence(std::span<const float> p, double p_normaliser, std::span<const float> q,
                     double q_normaliser) {
  double sum = 0;
  for (std::size_t id = 0; id < p.size(); ++id) {
    const double log_p = p[id] - p_normaliser;
    const double log_q = q[id] - q_normaliser;
    sum += std::exp(log_p) * (log_p - log_q);
  }
  return std::max(sum, 0.0);  // what rounding left below zero; a NaN stays
}

void require_same_vocabulary(const Model& reference, const Model& model) {
  const auto require = [](bool is_same, const std::string& expected, const std::string& found) {
    if (is_same) return;
    throw Error(ErrorCode::invalid_argument,
                "--kl-base: expected MODEL's vocabulary, " + expected + ", found " + found);
  };
  const std::size_t vocab = model.config().vocab;
  require(reference.config().vocab == vocab, std::to_string(vocab) + " tokens",
          std::to_string(reference.config().vocab));
  if (!reference.has_tokenizer() || !model.has_tokenizer()) return;
  for (std::size_t i = 0; i < vocab; ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string expected(model.tokenizer().piece(id));
    const std::string found(reference.tokenizer().piece(id));
    require(expected == found, "token " + std::to_string(id) + " \"" + expected + '"',
            '"' + found + '"');
  }
}

Context open_reference(const std::string& path, ModelOptions options, const Model& model,
                       std::size_t n_ctx) {
  options.path = path;
  options.precision = "f32";
  options.cache_type.clear();
  options.n_ctx = n_ctx;
  const Model reference = load_model(options);
  require_same_vocabulary(reference, model);
  return Context(reference, options.context());
}

}  // namespace

void KlTally::add(std::span<const float> reference, std::span<const float> model, TokenId next) {
  const double reference_normaliser = log_sum_exp(reference);
  const double kl = kl_divergence(reference, reference_normaliser, model, log_sum_exp(model));
  kl_.add(kl);
  values_.push_back(kl);
  reference_nll_.add(reference_normaliser - reference[next]);
  n_agreements_ += likeliest(reference) == likeliest(model);
}

double KlTally::percentile_99() const {
  if (std::isnan(mean())) return mean();  // a NaN has no place in an order
  std::vector<double> values = values_;
  const double rank = 0.99 * static_cast<double>(values.size() - 1);
  const auto lower = values.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(values.begin(), lower, values.end());
  if (lower + 1 == values.end()) return *lower;
  const double upper = *std::min_element(lower + 1, values.end());
  return std::lerp(*lower, upper, rank - std::floor(rank));
}

double KlTally::agreement() const noexcept {
  return static_cast<double>(n_agreements_) / static_cast<double>(kl_.n);
}

KlBase::KlBase(const std::string& path, const ModelOptions& options, const Model& model,
               std::size_t n_ctx)
    : context_(open_reference(path, options, model, n_ctx)) {}

void KlBase::begin(std::span<const TokenId> ids) {
  context_.rewind(0);
  if (!ids.empty()) context_.eval(ids);
}

void KlBase::compare(std::span<const TokenId> ids, MatrixView<const float> logits,
                     std::span<const TokenId> next) {
  context_.eval(ids, [&](std::size_t first, MatrixView<const float> reference) {
    for (std::size_t row = 0; row < reference.rows; ++row) {
      tally_.add(reference.row(row), logits.row(first + row), next[first + row]);
    }
  });
}

Json KlBase::result(double nll) const {
  return {
      {"mean", tally_.mean()},
      {"standard_error", tally_.standard_error()},
      {"percentile_99", tally_.percentile_99()},
      {"top_1_agreement", tally_.agreement()},
      {"reference_perplexity", std::exp(tally_.reference_nll())},
      {"perplexity_ratio", std::exp(nll - tally_.reference_nll())},
  };
}

}  // namespace mixtral::cli

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

struct Comparison {
  double normaliser;  // log_sum_exp of the reference
  double kl;
};

/// KL(p || q) = sum of p (ln p - ln q), p and q being the softmaxes of `reference` and `model`.
Comparison compare_rows(std::span<const float> reference, std::span<const float> model) {
  const double highest = reference[likeliest(reference)];
  double sum = 0, weighted = 0;  // of e, and of e times the difference of the logits
  for (std::size_t id = 0; id < reference.size(); ++id) {
    const double e = std::exp(reference[id] - highest);
    sum += e;
    weighted += e * (static_cast<double>(reference[id]) - model[id]);
  }
  const double normaliser = highest + std::log(sum);
  const double kl = weighted / sum - (normaliser - log_sum_exp(model));
  return {normaliser, std::max(kl, 0.0)};  // not what rounding left below zero; a NaN stays
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
  const Comparison comparison = compare_rows(reference, model);
  kl_.add(comparison.kl);
  values_.push_back(comparison.kl);
  reference_nll_.add(comparison.normaliser - reference[next]);
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

#include "eval/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "eval/answers.hpp"
#include "eval/python_text.hpp"

namespace mixtral::eval {
namespace {

/// The index of the first maximum.
std::size_t argmax(std::span<const double> values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

/// The share of the true answers in the probability of all. In the leaderboard's version those
/// before the first wrong one are the true ones.
double true_mass(Rules rules, const Document& document, std::span<const Likelihood> likelihoods) {
  // Divided by the likeliest one's probability, they can't all vanish.
  double highest = likelihoods[0].logprob;
  for (const Likelihood& likelihood : likelihoods) highest = std::max(highest, likelihood.logprob);
  double mass = 0, total = 0;
  bool seen_false = false;
  for (std::size_t i = 0; i < likelihoods.size(); ++i) {
    const double share = std::exp(likelihoods[i].logprob - highest);
    seen_false = seen_false || !document.is_true[i];
    const bool counts = rules == Rules::current ? document.is_true[i] : !seen_false;
    total += share;
    mass += counts ? share : 0;
  }
  return mass / total;
}

double squares(std::span<const double> values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

}  // namespace

std::vector<Metric> choice_metrics(const Task& task, Rules rules, const Document& document,
                                   std::span<const Likelihood> likelihoods) {
  if (task.scoring == Scoring::truth) {
    const std::string name = rules == Rules::current ? "acc" : "mc2";
    return {{name, "none", true_mass(rules, document, likelihoods)}};
  }
  std::vector<double> sums, per_character;
  for (std::size_t i = 0; i < likelihoods.size(); ++i) {
    const double logprob = likelihoods[i].logprob;
    sums.push_back(logprob);
    per_character.push_back(
        logprob / static_cast<double>(n_characters(document.candidates[i].answer)));
  }
  std::vector<Metric> metrics = {{"acc", "none", argmax(sums) == document.gold ? 1.0 : 0.0}};
  if (task.normalises) {
    metrics.push_back({"acc_norm", "none", argmax(per_character) == document.gold ? 1.0 : 0.0});
  }
  return metrics;
}

std::vector<Metric> generation_metrics(Rules rules, const Document& document,
                                       std::string_view answer) {
  const std::string& gold = document.candidates[document.gold].answer;
  const auto value = [](bool is_right) { return is_right ? 1.0 : 0.0; };
  if (rules == Rules::leaderboard_v1) {
    const auto number = [](std::string_view text) {
      return replace_all(strict_match(text), ",", "");
    };
    const bool is_right = number(answer) == number(gold) && number(gold) != kNoAnswer;
    return {{"acc", "none", value(is_right)}};
  }
  return {{"exact_match", "strict-match", value(is_exact_match(strict_match(answer), gold))},
          {"exact_match", "flexible-extract",
           value(is_exact_match(flexible_extract(answer), gold))}};
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::optional<double> standard_error(std::span<const double> values) {
  if (values.size() < 2) return std::nullopt;
  const double centre = mean(values);
  std::vector<double> deviations(values.begin(), values.end());
  for (double& value : deviations) value -= centre;
  const auto count = static_cast<double>(values.size());
  return std::sqrt(squares(deviations) / (count - 1)) / std::sqrt(count);
}

double pooled_standard_error(std::span<const double> errors, std::span<const std::size_t> sizes) {
  double sum = 0, n_all = 0;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const auto size = static_cast<double>(sizes[i]);
    sum += (size - 1) * errors[i] * errors[i] * size;
    n_all += size;
  }
  const double variance = sum / (n_all - static_cast<double>(sizes.size()));
  return std::sqrt(variance / n_all);
}

double unweighted_standard_error(std::span<const double> errors) {
  return std::sqrt(squares(errors)) / static_cast<double>(errors.size());
}

}  // namespace mixtral::eval

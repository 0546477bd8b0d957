// What one question is worth, and what many are on average.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/task.hpp"

namespace mixtral::eval {

/// What a model says of a candidate.
struct Likelihood {
  double logprob;  // sum of ln p of its tokens
  bool is_greedy;  // each of its tokens is the likeliest
};

/// One figure of a question. In the harness's results it is called "name,filter".
struct Metric {
  std::string name;
  std::string filter;
  double value;
};

/// acc, acc_norm where the task has it, or the mass of the true answers.
std::vector<Metric> choice_metrics(const Task& task, Rules rules, const Document& document,
                                   std::span<const Likelihood> likelihoods);

/// Whether the number in `answer` is right.
std::vector<Metric> generation_metrics(Rules rules, const Document& document,
                                       std::string_view answer);

double mean(std::span<const double> values);

/// Of the mean; nothing for less than two values.
std::optional<double> standard_error(std::span<const double> values);

/// Of the mean over several tasks, each weighted by its questions.
double pooled_standard_error(std::span<const double> errors, std::span<const std::size_t> sizes);

/// Of the mean of the tasks' means.
double unweighted_standard_error(std::span<const double> errors);

}  // namespace mixtral::eval

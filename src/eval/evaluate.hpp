// Runs a task: questions in, figures out.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "eval/data_set.hpp"
#include "eval/language_model.hpp"
#include "eval/metrics.hpp"
#include "eval/prompts.hpp"

namespace mixtral::eval {

struct EvalOptions {
  Rules rules = Rules::current;
  std::optional<std::size_t> n_shots = {};  // unset: the leaderboard's
  std::size_t limit = std::numeric_limits<std::size_t>::max();  // questions per task or subject
};

/// A question, what was asked, what the model said, and what that is worth.
struct Sample {
  const Question& question;
  const Row& row;
  std::vector<Likelihood> likelihoods;  // of the candidates; empty for generated answers
  std::string answer;                   // generated
  std::vector<Metric> metrics;
};

/// The values of one metric, question by question.
struct MetricValues {
  std::string name;
  std::string filter;
  std::vector<double> values;
};

/// The figures of a task, or of one subject of mmlu.
struct TaskResult {
  std::string subject;
  std::size_t n_shots = 0;
  std::size_t n_documents = 0;  // in the data set
  std::size_t n_evaluated = 0;
  std::vector<MetricValues> metrics;
};

struct EvalCallbacks {
  std::function<void(std::size_t done, std::size_t total)> on_progress = {};  // questions
  std::function<void(const TaskResult& of, const Sample&)> on_sample = {};
};

/// Evaluates `model` on each entry of `data`. Throws Error as QuestionSource and the model do.
std::vector<TaskResult> evaluate(LanguageModel& model, const Task& task,
                                 const std::vector<TaskData>& data, const EvalOptions& options,
                                 const EvalCallbacks& callbacks = {});

}  // namespace mixtral::eval

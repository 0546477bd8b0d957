#include "eval/evaluate.hpp"

#include <algorithm>
#include <utility>

namespace mixtral::eval {
namespace {

/// Questions that are asked together: enough to fill batches, few enough for memory.
constexpr std::size_t kBlock = 64;

class Evaluation {
 public:
  Evaluation(LanguageModel& model, const Task& task, const EvalOptions& options,
             const EvalCallbacks& callbacks)
      : model_(model), task_(task), options_(options), callbacks_(callbacks) {}

  std::vector<TaskResult> run(const std::vector<TaskData>& data) {
    for (const TaskData& one : data) n_total_ += n_asked(one);
    std::vector<TaskResult> results;
    for (const TaskData& one : data) results.push_back(run_one(one));
    return results;
  }

 private:
  std::size_t n_asked(const TaskData& data) const {
    return std::min(data.eval.rows.size(), options_.limit);
  }

  TaskResult run_one(const TaskData& data) {
    const std::size_t n_shots = options_.n_shots.value_or(task_.n_shots);
    QuestionSource source(task_, data, options_.rules, n_shots);
    TaskResult result{data.subject, n_shots, source.size(), n_asked(data), {}};
    for (std::size_t n_left = result.n_evaluated; n_left > 0;) {
      std::vector<Question> questions;
      while (questions.size() < std::min(kBlock, n_left)) questions.push_back(source.next());
      ask(questions, data, result);
      n_left -= questions.size();
      n_done_ += questions.size();
    }
    return result;
  }

  void ask(const std::vector<Question>& questions, const TaskData& data, TaskResult& result) {
    if (task_.scoring == Scoring::generation) {
      generate(questions, data, result);
    } else {
      score(questions, data, result);
    }
  }

  /// Reports progress within a block of questions that consists of `n_requests`.
  ProgressCallback progress(std::size_t n_questions, std::size_t n_requests) const {
    return [this, n_questions, n_requests](std::size_t done) {
      if (callbacks_.on_progress) {
        callbacks_.on_progress(n_done_ + done * n_questions / n_requests, n_total_);
      }
    };
  }

  void score(const std::vector<Question>& questions, const TaskData& data, TaskResult& result) {
    std::vector<ScoreRequest> requests;
    for (const Question& question : questions) {
      for (std::size_t i = 0; i < question.document.candidates.size(); ++i) {
        requests.push_back({question.context(i), " " + question.document.candidates[i].answer});
      }
    }
    const auto likelihoods = model_.score(requests, progress(questions.size(), requests.size()));
    auto next = likelihoods.begin();
    for (const Question& question : questions) {
      const auto count = static_cast<std::ptrdiff_t>(question.document.candidates.size());
      Sample sample{question, data.eval.rows[question.row], {next, next + count}, "", {}};
      next += count;
      sample.metrics =
          choice_metrics(task_, options_.rules, question.document, sample.likelihoods);
      add(sample, result);
    }
  }

  void generate(const std::vector<Question>& questions, const TaskData& data, TaskResult& result) {
    std::vector<std::string> contexts;
    for (const Question& question : questions) contexts.push_back(question.context(0));
    const auto answers = model_.generate(contexts, stop_strings(options_.rules), kMaxAnswerTokens,
                                         progress(questions.size(), questions.size()));
    for (std::size_t i = 0; i < questions.size(); ++i) {
      Sample sample{questions[i], data.eval.rows[questions[i].row], {}, answers[i], {}};
      sample.metrics = generation_metrics(options_.rules, questions[i].document, answers[i]);
      add(sample, result);
    }
  }

  void add(const Sample& sample, TaskResult& result) const {
    if (result.metrics.empty()) {
      for (const Metric& metric : sample.metrics) {
        result.metrics.push_back({metric.name, metric.filter, {}});
      }
    }
    for (std::size_t i = 0; i < sample.metrics.size(); ++i) {
      result.metrics[i].values.push_back(sample.metrics[i].value);
    }
    if (callbacks_.on_sample) callbacks_.on_sample(result, sample);
  }

  LanguageModel& model_;
  const Task& task_;
  const EvalOptions& options_;
  const EvalCallbacks& callbacks_;
  std::size_t n_total_ = 0;
  std::size_t n_done_ = 0;  // in blocks that are finished
};

}  // namespace

std::vector<TaskResult> evaluate(LanguageModel& model, const Task& task,
                                 const std::vector<TaskData>& data, const EvalOptions& options,
                                 const EvalCallbacks& callbacks) {
  return Evaluation(model, task, options, callbacks).run(data);
}

}  // namespace mixtral::eval

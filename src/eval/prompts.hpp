// Which questions are asked, in which order, after which examples.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "eval/data_set.hpp"
#include "eval/python_random.hpp"
#include "eval/task.hpp"

namespace mixtral::eval {

/// A question and the text before it.
struct Question {
  std::size_t id;   // where it stands in the order of the rules
  std::size_t row;  // of the split that is evaluated
  Document document;
  std::string preamble;  // description and examples, with the blank line after them

  std::string context(std::size_t candidate) const {
    return preamble + document.candidates[candidate].context;
  }
};

/// Gives the questions of one task (or subject) one after another. Random choices go on from one
/// question to the next, so leaving out the last ones changes nothing for those before.
class QuestionSource {
 public:
  /// Both must outlive this object. Throws Error(invalid_argument) when there are too few examples
  /// for `n_shots`.
  QuestionSource(const Task& task, const TaskData& data, Rules rules, std::size_t n_shots);

  /// All that there are.
  std::size_t size() const noexcept { return order_.size(); }

  /// The next one; at most `size()` calls.
  Question next();

 private:
  std::vector<std::size_t> choose_shots(std::size_t row);
  std::vector<std::size_t> sample_without(const Row& excluded);

  const Task& task_;
  const TaskData& data_;
  Rules rules_;
  std::size_t n_shots_;
  PythonRandom random_;
  std::vector<std::size_t> order_;  // rows
  std::size_t next_ = 0;
};

}  // namespace mixtral::eval

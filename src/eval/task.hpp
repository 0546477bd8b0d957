// The tasks of the Open LLM Leaderboard as lm-evaluation-harness defines them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/fields.hpp"
#include "eval/row.hpp"

namespace mixtral::eval {

/// Whose rules: those of today's harness (0.4), or those of the commit that filled the leaderboard's
/// first version (b281b092, June 2023).
enum class Rules { current, leaderboard_v1 };

/// One way to complete a prompt. The prompt of an answer that is scored is `context`, a space, and
/// `answer`.
struct Candidate {
  std::string context;
  std::string answer;
};

/// A row as a question.
struct Document {
  std::vector<Candidate> candidates;
  std::size_t gold = 0;       // the right one, which is also what a few-shot example shows
  std::vector<bool> is_true;  // truthfulqa_mc2: for each candidate
};

/// What is done with the candidates.
enum class Scoring {
  choice,      ///< the likeliest candidate
  truth,       ///< the share of the true candidates in the probability of all
  generation,  ///< the answer is generated
};

struct Task {
  std::string_view name;
  Scoring scoring;
  bool normalises;              // reports acc_norm beside acc
  std::string_view folder;      // of this configuration within the data set; "": none
  std::string_view eval_split;  // "test" or "validation"
  std::string_view shot_split;  // "train" or "dev"; "": the task takes no examples
  bool excludes_itself;         // the question is never among its examples (today's rules)
  bool takes_first_shots;       // the first examples in order rather than random ones
  std::size_t n_shots;          // of the leaderboard
  double version;               // today's
  double v1_version;
  Document (*document)(const Fields&);
};

/// All of them, in the order of the leaderboard's table.
std::span<const Task> tasks();

/// Throws Error(invalid_argument) for an unknown name.
const Task& find_task(std::string_view name);

/// Where generated answers end, and how many tokens they have at most.
std::vector<std::string> stop_strings(Rules rules);
inline constexpr std::size_t kMaxAnswerTokens = 256;

/// What stands before the examples and the question of an mmlu subject such as "college_biology".
std::string mmlu_description(std::string_view subject);

/// "stem", "humanities", "social_sciences" or "other"; "" for a subject that isn't one of the 57.
std::string_view mmlu_category(std::string_view subject);
inline constexpr std::size_t kMmluSubjects = 57;

}  // namespace mixtral::eval

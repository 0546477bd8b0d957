#include "eval/task.hpp"

#include <array>

#include "core/message.hpp"
#include "eval/documents.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::eval {
namespace {

constexpr std::array<Task, 6> kTasks = {{
    {.name = "arc_challenge",
     .scoring = Scoring::choice,
     .normalises = true,
     .folder = "ARC-Challenge",
     .eval_split = "test",
     .shot_split = "train",
     .excludes_itself = false,
     .takes_first_shots = false,
     .n_shots = 25,
     .version = 1.0,
     .v1_version = 0,
     .document = arc_document},
    {.name = "hellaswag",
     .scoring = Scoring::choice,
     .normalises = true,
     .folder = "data",
     .eval_split = "validation",
     .shot_split = "train",
     .excludes_itself = true,
     .takes_first_shots = false,
     .n_shots = 10,
     .version = 1.0,
     .v1_version = 0,
     .document = hellaswag_document},
    {.name = "mmlu",
     .scoring = Scoring::choice,
     .normalises = false,
     .folder = "",
     .eval_split = "test",
     .shot_split = "dev",
     .excludes_itself = false,
     .takes_first_shots = true,
     .n_shots = 5,
     .version = 1.0,
     .v1_version = 1,
     .document = mmlu_document},
    {.name = "truthfulqa_mc2",
     .scoring = Scoring::truth,
     .normalises = false,
     .folder = "multiple_choice",
     .eval_split = "validation",
     .shot_split = "",
     .excludes_itself = false,
     .takes_first_shots = false,
     .n_shots = 0,
     .version = 3.0,
     .v1_version = 1,
     .document = truthfulqa_document},
    {.name = "winogrande",
     .scoring = Scoring::choice,
     .normalises = false,
     .folder = "winogrande_xl",
     .eval_split = "validation",
     .shot_split = "train",
     .excludes_itself = true,
     .takes_first_shots = false,
     .n_shots = 5,
     .version = 1.0,
     .v1_version = 0,
     .document = winogrande_document},
    {.name = "gsm8k",
     .scoring = Scoring::generation,
     .normalises = false,
     .folder = "main",
     .eval_split = "test",
     .shot_split = "train",
     .excludes_itself = false,
     .takes_first_shots = false,
     .n_shots = 5,
     .version = 3.0,
     .v1_version = 0,
     .document = gsm8k_document},
}};

}  // namespace

std::span<const Task> tasks() { return kTasks; }

const Task& find_task(std::string_view name) {
  std::string names;
  for (const Task& task : kTasks) {
    if (task.name == name) return task;
    names += (names.empty() ? "" : ", ") + std::string(task.name);
  }
  throw Error(ErrorCode::invalid_argument,
              "task: expected one of " + names + ", found " + detail::quote(name));
}

std::vector<std::string> stop_strings(Rules rules) {
  if (rules == Rules::leaderboard_v1) return {":", "Question:", "Question", "</s>"};
  return {"Question:", "</s>", "<|im_end|>"};
}

}  // namespace mixtral::eval

// The figures in the layout of the harness's results.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "eval/evaluate.hpp"

namespace mixtral::eval {

using Json = nlohmann::ordered_json;

/// "results", "groups" and "group_subtasks" (of mmlu), "configs", "versions", "n-shot",
/// "higher_is_better" and "n-samples", as lm-evaluation-harness 0.4 writes them. The categories of mmlu
/// and mmlu itself are weighted by their questions under today's rules and by their subjects in the
/// leaderboard's version.
Json results_json(const Task& task, Rules rules, const std::vector<TaskResult>& results);

/// One line of the harness's log of samples for each filter, without the hashes.
std::vector<Json> sample_json(const Task& task, const TaskResult& result, const Sample& sample);

/// "mmlu_anatomy", or the task's own name.
std::string result_name(const Task& task, const TaskResult& result);

/// The table that the harness prints, from `results_json`.
std::string results_table(const Json& results);

}  // namespace mixtral::eval

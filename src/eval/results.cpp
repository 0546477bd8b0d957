#include "eval/results.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>

namespace mixtral::eval {
namespace {

constexpr std::array<const char*, 4> kCategoryOrder = {"stem", "other", "social_sciences",
                                                       "humanities"};
constexpr double kGroupVersion = 2;

std::string spaced(std::string text) {
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

std::string metric_key(const MetricValues& metric) { return metric.name + "," + metric.filter; }
std::string error_key(const MetricValues& metric) {
  return metric.name + "_stderr," + metric.filter;
}

Json task_metrics(const std::string& name, const TaskResult& result) {
  Json json = {{"name", name},
               {"alias", result.subject.empty() ? name : spaced(result.subject)},
               {"sample_len", result.n_evaluated}};
  for (const MetricValues& metric : result.metrics) {
    const auto error = standard_error(metric.values);
    json[metric_key(metric)] = mean(metric.values);
    json[error_key(metric)] = error ? Json(*error) : Json("N/A");
  }
  return json;
}

/// What several tasks are worth together.
Json group_metrics(const std::string& name, const std::string& alias, Rules rules,
                   const std::vector<const TaskResult*>& members) {
  std::vector<std::size_t> sizes;
  std::size_t n_all = 0;
  for (const TaskResult* member : members) {
    sizes.push_back(member->n_evaluated);
    n_all += member->n_evaluated;
  }
  Json json = {{"alias", alias}, {"name", name}, {"sample_len", n_all}};
  const MetricValues& metric = members[0]->metrics[0];  // acc, as in the harness's groups
  double sum = 0, total_weight = 0;
  std::vector<double> errors;
  for (const TaskResult* member : members) {
    const auto& values = member->metrics[0].values;
    const double weight = rules == Rules::current ? static_cast<double>(values.size()) : 1.0;
    sum += weight * mean(values);
    total_weight += weight;
    if (const auto error = standard_error(values)) errors.push_back(*error);
  }
  json[metric_key(metric)] = sum / total_weight;
  if (errors.size() < members.size()) {
    json[error_key(metric)] = "N/A";
  } else {
    json[error_key(metric)] = rules == Rules::current ? pooled_standard_error(errors, sizes)
                                                      : unweighted_standard_error(errors);
  }
  json["sample_count"] = {{metric_key(metric), n_all}};
  return json;
}

/// Adds mmlu and its categories to `json`, which has the subjects.
void add_groups(const Task& task, Rules rules, const std::vector<TaskResult>& results,
                Json& json) {
  std::map<std::string, std::vector<const TaskResult*>> categories;
  std::vector<const TaskResult*> all;
  for (const TaskResult& result : results) {
    categories[std::string(mmlu_category(result.subject))].push_back(&result);
    all.push_back(&result);
  }
  const std::string name(task.name);
  const auto add = [&](const std::string& group, const std::string& alias,
                       const std::vector<const TaskResult*>& members) {
    json["results"][group] = group_metrics(group, alias, rules, members);
    json["groups"][group] = json["results"][group];
    json["versions"][group] = kGroupVersion;
    json["n-shot"][group] = members[0]->n_shots;
    json["higher_is_better"][group] = json["higher_is_better"][result_name(task, *members[0])];
  };
  json["group_subtasks"][name] = Json::array();
  for (const char* category : kCategoryOrder) {
    const auto& members = categories[category];
    if (members.empty()) continue;
    const std::string group = name + "_" + category;
    add(group, spaced(category), members);
    json["group_subtasks"][name].push_back(group);
    for (const TaskResult* member : members) {
      json["group_subtasks"][group].push_back(result_name(task, *member));
    }
  }
  for (const TaskResult* member : categories[""]) {
    json["group_subtasks"][name].push_back(result_name(task, *member));
  }
  add(name, name, all);
}

std::string text_of(double number) { return Json(number).dump(); }

/// What the model said, as the harness logs it: everything is a text.
Json response(const Task& task, const Sample& sample, std::size_t candidate) {
  if (task.scoring == Scoring::generation) return sample.answer;
  const Likelihood& likelihood = sample.likelihoods[candidate];
  return {text_of(likelihood.logprob), likelihood.is_greedy ? "True" : "False"};
}

Json arguments(const Task& task, const Sample& sample) {
  Json json;
  const auto& candidates = sample.question.document.candidates;
  const std::size_t count = task.scoring == Scoring::generation ? 1 : candidates.size();
  for (std::size_t i = 0; i < count; ++i) {
    Json& entry = json["gen_args_" + std::to_string(i)];
    entry["arg_0"] = sample.question.context(i);
    if (task.scoring != Scoring::generation) entry["arg_1"] = " " + candidates[i].answer;
  }
  return json;
}

std::string target(const Task& task, const Document& document) {
  return task.scoring == Scoring::generation ? document.candidates[0].answer
                                             : std::to_string(document.gold);
}

/// Rows of cells as Markdown.
std::string markdown(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows[0].size());
  const auto n_columns = widths.size();
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < n_columns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t i = 0; i < n_columns; ++i) {
      text += (i == 0 ? "| " : " | ") + rows[r][i] + std::string(widths[i] - rows[r][i].size(), ' ');
    }
    text += " |\n";
    if (r > 0) continue;
    for (const std::size_t width : widths) text += "|" + std::string(width + 2, '-');
    text += "|\n";
  }
  return text;
}

std::string four_digits(const Json& value) {
  if (!value.is_number()) return "N/A";
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.4f", value.get<double>());
  return text.data();
}

/// Adds the rows of `name` and of what it consists of.
void add_table_rows(const Json& results, const std::string& name, std::size_t depth,
                    std::vector<std::vector<std::string>>& rows) {
  const Json& figures = results["results"][name];
  std::string label = figures["alias"].get<std::string>();
  if (depth > 0) label = std::string(depth, ' ') + "- " + label;
  for (const auto& [key, value] : figures.items()) {
    const std::size_t comma = key.find(',');
    if (comma == key.npos || key.substr(0, comma).ends_with("_stderr")) continue;
    const std::string metric = key.substr(0, comma), filter = key.substr(comma + 1);
    rows.push_back({label, results["versions"][name].dump(), filter,
                    results["n-shot"][name].dump(), metric, four_digits(value),
                    four_digits(figures[metric + "_stderr," + filter])});
    label.clear();
  }
  const auto& groups = results["group_subtasks"];
  if (!groups.contains(name)) return;
  for (const Json& member : groups[name]) {
    add_table_rows(results, member.get<std::string>(), depth + 1, rows);
  }
}

}  // namespace

std::string result_name(const Task& task, const TaskResult& result) {
  const std::string name(task.name);
  return result.subject.empty() ? name : name + "_" + result.subject;
}

Json results_json(const Task& task, Rules rules, const std::vector<TaskResult>& results) {
  const double version = rules == Rules::current ? task.version : task.v1_version;
  Json json = {{"results", Json::object()},       {"group_subtasks", Json::object()},
               {"configs", Json::object()},       {"versions", Json::object()},
               {"n-shot", Json::object()},        {"higher_is_better", Json::object()},
               {"n-samples", Json::object()}};
  for (const TaskResult& result : results) {
    const std::string name = result_name(task, result);
    json["results"][name] = task_metrics(name, result);
    Json better;
    for (const MetricValues& metric : result.metrics) better[metric.name] = true;
    json["higher_is_better"][name] = better;
    json["versions"][name] = version;
    json["n-shot"][name] = result.n_shots;
    json["n-samples"][name] = {{"original", result.n_documents}, {"effective", result.n_evaluated}};
    json["configs"][name] = {
        {"task", name},
        {"output_type",
         task.scoring == Scoring::generation ? "generate_until" : "multiple_choice"},
        {"num_fewshot", result.n_shots},
        {"metadata", {{"version", version}}}};
  }
  if (!results[0].subject.empty()) add_groups(task, rules, results, json);
  return json;
}

std::vector<Json> sample_json(const Task& task, const TaskResult& result, const Sample& sample) {
  const std::size_t count = std::max<std::size_t>(sample.likelihoods.size(), 1);
  Json responses = Json::array();
  for (std::size_t i = 0; i < count; ++i) responses.push_back(response(task, sample, i));
  std::map<std::string, Json> metrics_of;  // by filter
  for (const Metric& metric : sample.metrics) metrics_of[metric.filter][metric.name] = metric.value;

  std::vector<Json> lines;
  for (const auto& [filter, metrics] : metrics_of) {
    Json line = {{"task", result_name(task, result)},
                 {"doc_id", sample.question.id},
                 {"doc", sample.row},
                 {"target", target(task, sample.question.document)},
                 {"arguments", arguments(task, sample)},
                 {"resps", Json::array()},
                 {"filtered_resps", responses},
                 {"filter", filter},
                 {"metrics", Json::array()}};
    for (const Json& one : responses) line["resps"].push_back(Json::array({one}));
    for (const auto& [name, value] : metrics.items()) {
      line["metrics"].push_back(name);
      line[name] = value;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string results_table(const Json& results) {
  std::vector<std::vector<std::string>> rows = {
      {"Tasks", "Version", "Filter", "n-shot", "Metric", "Value", "Stderr"}};
  // mmlu alone has groups; it is the last of the results.
  add_table_rows(results, std::prev(results["results"].end()).key(), 0, rows);
  return markdown(rows);
}

}  // namespace mixtral::eval

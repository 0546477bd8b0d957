// Questions, examples and figures against the real lm-evaluation-harness (see make_goldens.py).
#include <zlib.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "eval/evaluate.hpp"
#include "eval/metrics.hpp"
#include "eval/results.hpp"
#include "eval_data.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace mixtral;
using namespace mixtral::eval;
using test::require_error;

namespace {

unsigned long checksum(const std::string& text) {
  return crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size()));
}

std::string with_commas(long number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3;) text.insert(i -= 3, ",");
  return text;
}

/// FakeModel of make_goldens.py.
class FakeModel final : public LanguageModel {
 public:
  std::vector<Likelihood> score(std::span<const ScoreRequest> requests,
                                const ProgressCallback& on_progress) override {
    std::vector<Likelihood> likelihoods;
    for (const auto& [context, continuation] : requests) {
      asked.push_back({context, continuation});
      const auto crc = checksum(context + '\0' + continuation);
      likelihoods.push_back({-static_cast<double>(crc % 9973) / 499, crc % 3 == 0});
      on_progress(likelihoods.size());
    }
    return likelihoods;
  }

  std::vector<std::string> generate(std::span<const std::string> contexts,
                                    std::span<const std::string> stop_strings,
                                    std::size_t max_tokens,
                                    const ProgressCallback& on_progress) override {
    CHECK(max_tokens == 256);
    std::vector<std::string> answers;
    for (const std::string& context : contexts) {
      asked.push_back({context, std::vector<std::string>(stop_strings.begin(), stop_strings.end())});
      answers.push_back(answer(context));
      on_progress(answers.size());
    }
    return answers;
  }

  std::vector<Json> asked;

 private:
  static std::string answer(const std::string& context) {
    long total = 0, number = 0;
    for (const char c : context.substr(context.rfind("Question")) + " ") {
      if (c >= '0' && c <= '9') {
        number = 10 * number + (c - '0');
      } else {
        total += std::exchange(number, 0);
      }
    }
    const std::string n = std::to_string(total);
    const std::array<std::string, 6> answers = {" They have " + n + ".\n#### " + n,
                                                " #### " + n + ".\n\nQ",
                                                " That is $" + n + ".",
                                                " #### 7 or " + n,
                                                " I don't know.",
                                                " #### -" + n + ", so " + with_commas(total) + "."};
    return answers[checksum(context) % 6];
  }
};

std::filesystem::path folder_of(const std::string& task) {
  const std::map<std::string, std::string> folders = {{"arc_challenge", "arc"},
                                                      {"truthfulqa_mc2", "truthfulqa"}};
  const auto found = folders.find(task);
  return kEvalData / (found == folders.end() ? task : found->second);
}

/// A metric of the old harness is called "acc", today's "acc,none".
std::string old_name(const std::string& key) {
  return key.substr(0, key.find(','));
}

void check_figures(const Json& ours, const nlohmann::ordered_json& theirs, bool is_current) {
  std::size_t n_checked = 0;
  for (const auto& [key, value] : ours.items()) {
    if (key.find(',') == key.npos) continue;
    const std::string name = is_current ? key : old_name(key);
    CAPTURE(key);
    REQUIRE(theirs.contains(name));
    ++n_checked;
    if (value.is_string()) {
      CHECK(value == theirs[name]);
    } else {
      CHECK(value.get<double>() == Approx(theirs[name].get<double>()).epsilon(1e-12).margin(1e-15));
    }
  }
  CHECK(n_checked >= 2);
}

struct Case {
  const nlohmann::ordered_json& golden;
  bool is_current;
  const Task& task;
  EvalOptions options;
};

Case read_case(const nlohmann::ordered_json& golden) {
  const bool is_current = golden["rules"] == "current";
  EvalOptions options;
  options.rules = is_current ? Rules::current : Rules::leaderboard_v1;
  options.n_shots = golden["shots"].get<std::size_t>();
  if (golden["limit"].is_number()) options.limit = golden["limit"].get<std::size_t>();
  return {golden, is_current, find_task(golden["task"].get<std::string>()), options};
}

/// The old harness also scores the answers of mc1, which come before those of mc2.
bool is_asked_by_us(const Case& one, const nlohmann::ordered_json& request,
                    const std::vector<Json>& ours, std::size_t next) {
  return one.is_current || one.task.scoring != Scoring::truth ||
         (next < ours.size() && request == ours[next]);
}

void check_requests(const Case& one, const std::vector<Json>& ours) {
  std::size_t next = 0;
  for (const auto& request : one.golden["asked"]) {
    if (one.task.scoring == Scoring::generation) {
      REQUIRE(next < ours.size());
      REQUIRE(ours[next][0] == request[0]);
      ++next;
    } else if (is_asked_by_us(one, request, ours, next)) {
      REQUIRE(next < ours.size());
      REQUIRE(ours[next] == request);
      ++next;
    }
  }
  CHECK(next == ours.size());
}

}  // namespace

TEST_CASE("Harness: the same requests in the same order, and the same figures") {
  std::size_t n_cases = 0;
  for (const auto& golden : goldens()["cases"]) {
    const Case one = read_case(golden);
    CAPTURE(golden["rules"], golden["task"], golden["shots"], golden["limit"]);
    FakeModel model;
    const auto data = load_task_data(one.task, folder_of(golden["task"].get<std::string>()));
    const auto results = evaluate(model, one.task, data, one.options);
    if (golden["limit"].is_null()) check_requests(one, model.asked);
    const Json json = results_json(one.task, one.options.rules, results);
    for (const auto& [name, figures] : golden["results"].items()) {
      CAPTURE(name);
      check_figures(json["results"][name], figures, one.is_current);
      CHECK(json["versions"][name].get<double>() == golden["versions"][name].get<double>());
    }
    if (one.is_current) {
      for (const auto& [name, n_shots] : golden["n-shot"].items()) {
        CHECK(json["n-shot"][name] == n_shots);
      }
      CHECK(json["higher_is_better"].size() >= golden["higher_is_better"].size());
      for (const auto& [name, count] : golden["n-samples"].items()) {
        CHECK(json["n-samples"][name]["original"] == count["original"]);
        CHECK(json["n-samples"][name]["effective"] == count["effective"]);
      }
    }
    ++n_cases;
  }
  CHECK(n_cases >= 36);
}

TEST_CASE("Harness: mmlu's aggregate is weighted by questions today, by subjects in version 1") {
  for (const auto& golden : goldens()["cases"]) {
    if (golden["task"] != "mmlu") continue;
    const Case one = read_case(golden);
    FakeModel model;
    const auto results =
        evaluate(model, one.task, load_task_data(one.task, folder_of("mmlu")), one.options);
    const Json json = results_json(one.task, one.options.rules, results);
    if (one.is_current) {
      check_figures(json["groups"]["mmlu"], golden["groups"]["mmlu"], true);
    } else {
      double sum = 0;
      for (const auto& [name, figures] : golden["results"].items()) sum += figures["acc"].get<double>();
      CHECK(json["groups"]["mmlu"]["acc,none"].get<double>() ==
            Approx(sum / static_cast<double>(golden["results"].size())));
    }
    CHECK(json["group_subtasks"]["mmlu"] ==
          Json({"mmlu_stem", "mmlu_other", "mmlu_social_sciences", "mmlu_humanities"}));
    CHECK(json["group_subtasks"]["mmlu_other"] == Json({"mmlu_virology"}));
  }
}

TEST_CASE("Harness: samples are logged as the harness logs them") {
  FakeModel model;
  const Task& task = find_task("arc_challenge");
  const auto data = load_task_data(task, folder_of("arc_challenge"));
  std::vector<Json> lines;
  EvalCallbacks callbacks;
  callbacks.on_sample = [&](const TaskResult& result, const Sample& sample) {
    for (Json& line : sample_json(task, result, sample)) lines.push_back(std::move(line));
  };
  evaluate(model, task, data, {.n_shots = 1, .limit = 2}, callbacks);
  REQUIRE(lines.size() == 2);
  const Json& line = lines[1];
  CHECK(line["doc_id"] == 1);
  CHECK(line["doc"] == data[0].eval.rows[1]);
  CHECK(line["filter"] == "none");
  CHECK(line["arguments"]["gen_args_0"]["arg_1"].get<std::string>().starts_with(" "));
  CHECK(line["resps"][0][0].size() == 2);
  CHECK(line["resps"][0][0] == line["filtered_resps"][0]);
  CHECK(line["metrics"] == Json({"acc", "acc_norm"}));
  CHECK(line["acc"].is_number());

  lines.clear();
  const Task& gsm8k = find_task("gsm8k");
  callbacks.on_sample = [&](const TaskResult& result, const Sample& sample) {
    for (Json& one : sample_json(gsm8k, result, sample)) lines.push_back(std::move(one));
  };
  evaluate(model, gsm8k, load_task_data(gsm8k, folder_of("gsm8k")), {.n_shots = 0, .limit = 1},
           callbacks);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["filter"] == "flexible-extract");
  CHECK(lines[1]["filter"] == "strict-match");
  CHECK(lines[1]["target"] == lines[1]["doc"]["answer"]);
}

TEST_CASE("Harness: the table has a line for each metric") {
  FakeModel model;
  const Task& task = find_task("mmlu");
  const auto results = evaluate(model, task, load_task_data(task, folder_of("mmlu")), {});
  const std::string table = results_table(results_json(task, Rules::current, results));
  CHECK(table.starts_with("| Tasks "));
  CHECK(table.find("\n| mmlu ") != table.npos);
  CHECK(table.find("|  - stem ") != table.npos);
  CHECK(table.find("|   - college physics ") != table.npos);
  CHECK(std::count(table.begin(), table.end(), '\n') == 2 + 1 + 4 + 5);
}

TEST_CASE("Harness: too few examples, or examples that a task doesn't take, are errors") {
  FakeModel model;
  const auto run = [&](const char* name, std::size_t n_shots) {
    const Task& task = find_task(name);
    evaluate(model, task, load_task_data(task, folder_of(name)), {.n_shots = n_shots});
  };
  require_error(ErrorCode::invalid_argument, {"arc_challenge", "41", "40", "\"train\""},
                [&] { run("arc_challenge", 41); });
  require_error(ErrorCode::invalid_argument, {"winogrande", "31"}, [&] { run("winogrande", 30); });
  require_error(ErrorCode::invalid_argument, {"mmlu anatomy", "6"}, [&] { run("mmlu", 6); });
  require_error(ErrorCode::invalid_argument, {"truthfulqa_mc2"}, [&] { run("truthfulqa_mc2", 1); });
}

TEST_CASE("Harness: truths too unlikely for a double still have a share") {
  const Task& task = find_task("truthfulqa_mc2");
  const Document document{{{"", "a"}, {"", "b"}}, 0, {true, false}};
  const std::vector<Likelihood> likelihoods = {{-2000, false}, {-2000, false}};
  CHECK(choice_metrics(task, Rules::current, document, likelihoods)[0].value == 0.5);
}

TEST_CASE("Harness: a single question has no standard error") {
  CHECK_FALSE(standard_error(std::vector<double>{1.0}));
  CHECK(*standard_error(std::vector<double>{0.0, 1.0}) == Approx(0.5));
  CHECK(unweighted_standard_error(std::vector<double>{0.3, 0.4}) == Approx(0.25));
}

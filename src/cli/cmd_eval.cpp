// mixtral eval: the tasks of the Open LLM Leaderboard.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdint>
#include <ctime>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command.hpp"
#include "eval/batch_model.hpp"
#include "eval/evaluate.hpp"
#include "eval/results.hpp"
#include "io.hpp"
#include "mixtral/io/output_file.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

using eval::Rules;

struct CommandOptions {
  ModelOptions model;
  std::string task, data, rules = "current", samples;
  std::optional<std::size_t> n_shots, limit;
  std::optional<bool> bos;
  std::size_t max_sequences = 32;
  bool json = false;
};

Rules rules_of(const CommandOptions& options) {
  return options.rules == "current" ? Rules::current : Rules::leaderboard_v1;
}

bool adds_bos(const CommandOptions& options) {
  return options.bos.value_or(rules_of(options) == Rules::current);
}

/// What the harness writes besides the figures.
void add_run_info(const CommandOptions& options, const eval::BatchModel& model, double seconds,
                  Json& results) {
  const eval::Rules rules = rules_of(options);
  results["config"] = {
      {"model", "mixtral"},
      {"model_args", "path=" + options.model.path},
      {"batch_size", options.max_sequences},
      {"limit", options.limit ? Json(*options.limit) : Json()},
      {"fewshot_seed", rules == Rules::current ? 1234 : 42},
      {"rules", options.rules},
      {"add_bos_token", adds_bos(options)},
  };
  const BatchStats stats = model.stats();
  results["date"] = static_cast<double>(std::time(nullptr));
  results["max_length"] = model.n_ctx();
  results["model_source"] = "mixtral";
  results["model_name"] = options.model.path;
  results["mixtral_version"] = MIXTRAL_VERSION;
  results["prompts_cut"] = model.n_cut();
  results["prompt_tokens"] = {{"computed", stats.n_prompt_computed},
                              {"shared", stats.n_prompt_reused}};
  results["total_evaluation_time_seconds"] = std::to_string(seconds);
}

void print_result(const Json& results) {
  print(eval::results_table(results));
  const Json& tokens = results["prompt_tokens"];
  std::array<char, 160> line;
  std::snprintf(line.data(), line.size(),
                "%.1f s, %s prompt tokens computed, %s shared with other prompts\n",
                std::stod(results["total_evaluation_time_seconds"].get<std::string>()),
                format_count(tokens["computed"].get<double>()).c_str(),
                format_count(tokens["shared"].get<double>()).c_str());
  print(line.data());
}

void run_eval(const CommandOptions& options) {
  const eval::Task& task = eval::find_task(options.task);
  const auto data = eval::load_task_data(task, options.data);
  std::optional<OutputFile> samples;
  if (!options.samples.empty()) samples.emplace(options.samples);

  const Model network = load_model(options.model);
  BatchOptions batch_options{.context = options.model.context(),
                             .max_sequences = options.max_sequences};
  eval::BatchModel model(network, batch_options, adds_bos(options));

  eval::EvalOptions eval_options{.rules = rules_of(options), .n_shots = options.n_shots};
  if (options.limit) eval_options.limit = *options.limit;
  const auto start = std::chrono::steady_clock::now();
  std::vector<eval::TaskResult> figures;
  {
    Progress progress(options.task);
    eval::EvalCallbacks callbacks;
    callbacks.on_progress = [&](std::size_t done, std::size_t total) {
      check_interrupt();
      progress.update(done, total);
    };
    callbacks.on_sample = [&](const eval::TaskResult& of, const eval::Sample& sample) {
      if (!samples) return;
      for (const Json& line : eval::sample_json(task, of, sample)) {
        samples->append(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
      }
    };
    figures = eval::evaluate(model, task, data, eval_options, callbacks);
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  if (samples) samples->commit();

  Json results = eval::results_json(task, eval_options.rules, figures);
  add_run_info(options, model, elapsed.count(), results);
  if (model.n_cut() > 0) {
    std::fprintf(stderr, "mixtral eval: %zu prompts lost their beginning: more than %zu tokens\n",
                 model.n_cut(), model.n_ctx());
  }
  if (options.json) return print_json(results);
  print_result(results);
}

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const eval::Task& task : eval::tasks()) names.emplace_back(task.name);
  return names;
}

}  // namespace

void add_eval(CLI::App& app) {
  auto options = std::make_shared<CommandOptions>();
  CLI::App* command = app.add_subcommand("eval", "Score the model on a task of the Open LLM Leaderboard");
  add_model_options(*command, options->model);
  add_context_option(*command, options->model, "what the model was made for");
  command->add_option("--task", options->task, "What to evaluate")
      ->required()
      ->check(CLI::IsMember(task_names()));
  command
      ->add_option("--data", options->data,
                   "The data set: a directory, or the file of the split to evaluate")
      ->required();
  command->add_option("--shots", options->n_shots,
                      "Examples before each question (default: the leaderboard's 25, 10, 5, 0, 5, 5)");
  command->add_option("--limit", options->limit, "Only so many questions, of each subject of mmlu")
      ->check(whole_number(1));
  command
      ->add_option("--rules", options->rules,
                   "Of today's harness, or of the version that filled the leaderboard")
      ->check(CLI::IsMember({"current", "leaderboard-v1"}))
      ->capture_default_str();
  command->add_flag_function(
      "--bos,!--no-bos", [options](std::int64_t count) { options->bos = count > 0; },
      "Begin prompts with BOS, or don't (default: only with the current rules)");
  command->add_option("--batch", options->max_sequences, "Prompts at a time; the figures don't depend on it")
      ->check(whole_number(1))
      ->capture_default_str();
  command->add_option("--samples", options->samples,
                      "Write what was asked and answered to this file, as lines of JSON");
  command->add_flag("--json", options->json, "Print the results as the harness writes them");
  command->footer(
      "Prompts, examples, scores and standard errors are those of lm-evaluation-harness, see\n"
      "docs/eval.md. The data set's own files are read: parquet or jsonl in the layout of the Hugging\n"
      "Face hub or of their archives, and the csv files of mmlu.\n\n"
      "Examples:\n"
      "  mixtral eval MODEL --task arc_challenge --data ai2_arc\n"
      "  mixtral eval MODEL --task mmlu --data mmlu --limit 20 --json\n"
      "  mixtral eval MODEL --task gsm8k --data gsm8k --rules leaderboard-v1 --samples log.jsonl");
  command->callback([options] { run_eval(*options); });
}

}  // namespace mixtral::cli

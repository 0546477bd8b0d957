// mixtral batch: answers a file of requests.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/job.hpp"
#include "batch_line.hpp"
#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/generate/batch.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "result_file.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

struct BatchCommand {
  ModelOptions model;
  std::string input, output;
  std::size_t parallel = 16;
  bool json = false;
};

struct InputLine {
  std::size_t number;
  std::string_view text;
};

/// The lines of `text` that aren't empty, numbered from 1.
std::vector<InputLine> split_lines(std::string_view text) {
  std::vector<InputLine> lines;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    if (!line.empty()) lines.push_back({number, line});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

BatchOptions batch_options(const BatchCommand& command) {
  return {.context = command.model.context(), .max_sequences = command.parallel};
}

/// Answers the lines of a file, many at once, in the order in which they are done.
class BatchRun {
 public:
  explicit BatchRun(const BatchCommand& command)
      : command_(command),
        text_(read_input(command.input)),
        lines_(split_lines(text_)),
        results_(command.output),
        todo_(unanswered()),
        model_(load_model(command.model)),
        batch_(model_, batch_options(command)),
        target_(api::Target::of(model_, command.model.n_ctx)),
        progress_("answering", Progress::Unit::lines) {}

  void run() {
    do {
      check_interrupt();
      while (next_ < todo_.size() && batch_.n_waiting() < command_.parallel) begin(todo_[next_++]);
      finish_done();
      progress_.update(n_answered_ + n_failed_, todo_.size());
    } while (step() || next_ < todo_.size());
    finish_done();
    results_.sync();
  }

  Json summary() const {
    const double time = std::chrono::duration<double>(Clock::now() - start_).count();
    return {{"lines", lines_.size()},
            {"answered", n_answered_},
            {"failed", n_failed_},
            {"answered_before", lines_.size() - todo_.size()},
            {"prompt_tokens", n_prompt_},
            {"new_tokens", n_new_},
            {"seconds", time},
            {"new_tokens_per_second", static_cast<double>(n_new_) / time}};
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// A text of a line that is being generated.
  struct Open {
    std::shared_ptr<BatchLine> line;
    std::size_t job;
  };

  /// The lines without a result. Throws Error(invalid_argument) when the results are those of other lines.
  std::vector<InputLine> unanswered() const {
    std::vector<InputLine> left;
    for (const InputLine& line : lines_) {
      const Json* custom_id = results_.find(line.number);
      if (custom_id == nullptr) {
        left.push_back(line);
      } else if (*custom_id != custom_id_of(line.text)) {
        throw Error(ErrorCode::invalid_argument,
                    command_.output + ": expected results for " + command_.input + ", but that for line " +
                        std::to_string(line.number) + " has custom_id " + custom_id->dump());
      }
    }
    return left;
  }

  void begin(const InputLine& input) {
    std::vector<std::size_t> added;
    try {
      const auto line = std::make_shared<BatchLine>(parse_line(input.text, input.number, target_));
      for (std::size_t job = 0; job < line->jobs().size(); ++job) {
        added.push_back(api::add(batch_, line->jobs()[job], [line, job](api::Piece piece) {
          line->results[job].prompt_pieces.push_back(std::move(piece));
        }));
      }
      for (std::size_t job = 0; job < added.size(); ++job) open_[added[job]] = {line, job};
      for (const api::Job& job : line->jobs()) n_prompt_ += job.n_prompt;
    } catch (const api::ApiError& error) {
      fail(input, added, error);
    } catch (const Error& error) {
      fail(input, added, api::to_api_error(error));
    }
  }

  void fail(const InputLine& input, const std::vector<std::size_t>& added, const api::ApiError& error) {
    for (const std::size_t index : added) batch_.cancel(index);
    results_.append(describe_failure(input.number, custom_id_of(input.text), error));
    ++n_failed_;
  }

  bool step() {
    return batch_.step([this](std::size_t index, const TokenEvent& event) {
      const Open& open = open_.at(index);
      open.line->results[open.job].pieces.emplace_back(event);
      ++n_new_;
      return stop_signal() == 0;
    });
  }

  /// Writes the results of the lines whose last text has ended.
  void finish_done() {
    check_interrupt();
    for (auto open = open_.begin(); open != open_.end();) {
      if (batch_.holds(open->first)) {
        ++open;
        continue;
      }
      const std::shared_ptr<BatchLine> line = std::move(open->second.line);
      open = open_.erase(open);
      const bool is_done = std::none_of(open_.begin(), open_.end(), [&](const auto& other) {
        return other.second.line == line;
      });
      if (!is_done) continue;
      results_.append(describe(*line, command_.model.path, target_.tokenizer.get()));
      ++n_answered_;
    }
  }

  const BatchCommand& command_;
  std::string text_;
  std::vector<InputLine> lines_;  // in text_
  ResultFile results_;
  std::vector<InputLine> todo_;
  Model model_;
  Batch batch_;
  api::Target target_;
  Progress progress_;
  std::map<std::size_t, Open> open_;  // by index in the batch
  std::size_t next_ = 0;              // of todo_
  std::size_t n_answered_ = 0, n_failed_ = 0, n_prompt_ = 0, n_new_ = 0;
  Clock::time_point start_ = Clock::now();
};

void print_summary(const Json& summary) {
  std::fprintf(stderr, "%zu lines answered, %zu failed, %zu had been answered before; %zu new tokens, %.1f/s\n",
               summary["answered"].get<std::size_t>(), summary["failed"].get<std::size_t>(),
               summary["answered_before"].get<std::size_t>(), summary["new_tokens"].get<std::size_t>(),
               summary["new_tokens_per_second"].get<double>());
}

void run_batch(const BatchCommand& command) {
  Json summary;
  {
    BatchRun run(command);
    run.run();
    summary = run.summary();
  }
  command.json ? print_json(summary) : print_summary(summary);
}

}  // namespace

void add_batch(CLI::App& app) {
  auto options = std::make_shared<BatchCommand>();
  CLI::App* command = app.add_subcommand("batch", "Answer a file of requests, many at once");
  add_model_options(*command, options->model);
  command->add_option("IN", options->input, "Requests, one JSON object a line")->required();
  command->add_option("OUT", options->output, "Results, one a line, are appended to this file")->required();
  add_context_option(*command, options->model, "4096, or what the model was made for");
  command
      ->add_option("--parallel", options->parallel, "Texts that are generated side by side (default: 16)")
      ->check(whole_number(1, 1024));
  command->add_flag("--json", options->json, "Print a summary in JSON");
  command->footer(
      "A line of IN is one of the OpenAI batch API, for /v1/completions or /v1/chat/completions, or a\n"
      "request with \"input_data\", as the model card shows it. Its result has its \"custom_id\" and, in\n"
      "\"line\", its number; results come in the order in which they are done. A bad line gets a result\n"
      "that says what is wrong with it, and the rest goes on.\n\n"
      "Run the command again after it was interrupted or killed: lines that have a result aren't\n"
      "answered twice.\n\n"
      "Examples:\n"
      "  mixtral batch MODEL requests.jsonl results.jsonl\n"
      "  mixtral batch MODEL requests.jsonl results.jsonl --parallel 32 --json");
  command->callback([options] { run_batch(*options); });
}

}  // namespace mixtral::cli

// mixtral generate: text that continues prompts.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/generate/batch.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

constexpr std::size_t kDefaultNewTokens = 256;
constexpr std::size_t kMaxSideBySide = 32;

struct GenerateCommand {
  ModelOptions model;
  SamplingFlags sampling;
  std::vector<std::string> prompts;
  std::vector<std::string> files;
  std::vector<std::string> stop;
  std::string system;
  std::size_t n_tokens = 0;
  std::optional<std::size_t> logprobs;
  bool chat = false;
  bool timings = false;
  bool json = false;
};

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

/// What became of one prompt.
struct Result {
  std::size_t n_prompt = 0;
  std::string text;
  std::vector<TokenId> ids;
  FinishReason finish = FinishReason::cancelled;
  Json logprobs = Json::array();
  Clock::time_point first = {}, last = {};  // when the first and the last token came
};

std::vector<std::string> read_prompts(const GenerateCommand& command) {
  std::vector<std::string> prompts;
  for (const std::string& text : command.prompts) {
    prompts.push_back(text == "-" ? std::string(without_final_newline(read_input("-"))) : text);
  }
  for (const std::string& file : command.files) {
    prompts.emplace_back(without_final_newline(read_input(file)));
  }
  if (prompts.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "expected a prompt: -p TEXT, -p - for standard input, or -f FILE");
  }
  for (const std::string& prompt : prompts) {
    if (prompt.empty())
      throw Error(ErrorCode::invalid_argument, "expected a prompt, found no text");
  }
  return prompts;
}

std::vector<ChatMessage> messages_of(const GenerateCommand& command, const std::string& prompt) {
  std::vector<ChatMessage> messages;
  if (!command.system.empty()) messages.push_back({Role::system, command.system});
  messages.push_back({Role::user, prompt});
  return messages;
}

std::size_t count_tokens(const GenerateCommand& command, const Model& model,
                         const std::string& prompt) {
  if (!command.chat) return model.tokenize(prompt).size();
  return format_chat(model.tokenizer(), model.chat_version(), messages_of(command, prompt)).size();
}

/// The tokens to generate after a prompt of `n_prompt` in a context of at most `n_ctx`. What wasn't
/// asked for shrinks to what fits.
std::size_t n_new_tokens(const GenerateCommand& command, const Model& model, std::size_t n_prompt,
                         std::size_t n_ctx) {
  if (command.n_tokens > 0) return command.n_tokens;
  const std::size_t wanted =
      model.network().checkpoint().generation_defaults().max_new_tokens.value_or(kDefaultNewTokens);
  return n_prompt < n_ctx ? std::min(wanted, n_ctx - n_prompt) : 1;
}

Json describe(TokenId id, double logprob, const Tokenizer& tokenizer) {
  return {{"id", id}, {"piece", tokenizer.piece(id)}, {"logprob", logprob}};
}

Json describe_logprobs(const TokenEvent& event, const Tokenizer& tokenizer) {
  Json entry = describe(event.id, event.logprob, tokenizer);
  entry["top"] = Json::array();
  for (const TokenLogprob& top : event.top_logprobs) {
    entry["top"].push_back(describe(top.id, top.logprob, tokenizer));
  }
  return entry;
}

Json rate(std::size_t n, double time) {
  return time > 0 ? Json(static_cast<double>(n) / time) : Json();
}

Json describe_timings(const Result& result, Clock::time_point start) {
  const double prompt = seconds(result.first - start);
  const double decode = seconds(result.last - result.first);
  const std::size_t n_decoded = result.ids.empty() ? 0 : result.ids.size() - 1;
  return {{"prompt_tokens", result.n_prompt},
          {"prompt_seconds", prompt},
          {"prompt_tokens_per_second", rate(result.n_prompt, prompt)},
          {"new_tokens", result.ids.size()},
          {"decode_seconds", decode},
          {"decode_tokens_per_second", rate(n_decoded, decode)}};
}

/// Generates for all prompts at once; the text of a single one is printed as it comes.
class GenerateRun {
 public:
  explicit GenerateRun(const GenerateCommand& command)
      : command_(command),
        prompts_(read_prompts(command)),
        model_(load_model(command.model)),
        sampling_(command.sampling.over(model_.default_sampling())),
        streams_(prompts_.size() == 1 && !command.json) {}

  void run() {
    Batch batch = make_batch();
    progress_.emplace("reading the prompt");
    start_ = Clock::now();
    const auto on_token = [this](std::size_t index, const TokenEvent& event) {
      take(results_[index], event);
      return stop_signal() == 0;
    };
    while (stop_signal() == 0 && batch.step(on_token)) {
    }
    progress_.reset();
    for (Result& result : results_) {
      if (result.ids.empty()) result.first = result.last = Clock::now();
    }
  }

  void print_results() const {
    if (command_.json) {
      print_objects();
    } else if (streams_) {
      print("\n");
    } else {
      print_texts();
    }
    if (command_.timings) print_timings();
  }

 private:
  /// A batch that holds all prompts, in contexts no larger than they need.
  Batch make_batch() {
    ContextOptions context = command_.model.context();
    const std::size_t limit = context.n_ctx > 0 ? context.n_ctx : model_.config().max_position;
    std::size_t longest = 0;
    for (const std::string& prompt : prompts_) {
      Result& result = results_.emplace_back();
      result.n_prompt = count_tokens(command_, model_, prompt);
      longest = std::max(longest,
                         result.n_prompt + n_new_tokens(command_, model_, result.n_prompt, limit));
    }
    context.n_ctx = std::min(longest, limit);
    Batch batch(model_,
                {.context = context, .max_sequences = std::min(prompts_.size(), kMaxSideBySide)});
    for (std::size_t i = 0; i < prompts_.size(); ++i) {
      const GenerateOptions options = options_for(results_[i].n_prompt, context.n_ctx);
      if (command_.chat) {
        batch.add_chat(messages_of(command_, prompts_[i]), options);
      } else {
        batch.add(prompts_[i], options);
      }
    }
    return batch;
  }

  GenerateOptions options_for(std::size_t n_prompt, std::size_t n_ctx) {
    GenerateOptions options;
    options.max_new_tokens = n_new_tokens(command_, model_, n_prompt, n_ctx);
    options.sampling = sampling_;
    options.stop = command_.stop;
    options.logprobs = command_.logprobs.has_value();
    options.top_logprobs = command_.logprobs.value_or(0);
    options.on_prompt = [this](const PromptProgress& prompt) {
      if (progress_) progress_->update(prompt.done, prompt.total);
      return stop_signal() == 0;
    };
    return options;
  }

  void take(Result& result, const TokenEvent& event) {
    progress_.reset();
    result.last = Clock::now();
    if (result.ids.empty()) result.first = result.last;
    result.ids.push_back(event.id);
    result.text += event.text;
    if (event.finish) result.finish = *event.finish;
    if (command_.logprobs) {
      result.logprobs.push_back(describe_logprobs(event, model_.tokenizer()));
    }
    if (streams_) print(event.text);
  }

  Json describe(std::size_t index) const {
    const Result& result = results_[index];
    Json json = {{"prompt", prompts_[index]}, {"text", result.text},
                 {"ids", result.ids},         {"finish_reason", name_of(result.finish)},
                 {"seed", sampling_.seed},    {"timings", describe_timings(result, start_)}};
    if (command_.logprobs) json["logprobs"] = result.logprobs;
    return json;
  }

  void print_objects() const {
    if (results_.size() == 1) return print_json(describe(0));
    Json all = Json::array();
    for (std::size_t i = 0; i < results_.size(); ++i) all.push_back(describe(i));
    print_json(all);
  }

  void print_texts() const {
    std::string text;
    for (std::size_t i = 0; i < results_.size(); ++i) {
      text += (i == 0 ? "==> " : "\n==> ") + std::to_string(i + 1) + " <==\n" + results_[i].text;
      text += "\n";
    }
    print(text);
  }

  void print_timings() const {
    for (const Result& result : results_) {
      const double prompt = seconds(result.first - start_);
      const double decode = seconds(result.last - result.first);
      std::fprintf(stderr, "prompt: %zu tokens in %.2f s; text: %zu tokens in %.2f s\n",
                   result.n_prompt, prompt, result.ids.size(), decode);
    }
  }

  const GenerateCommand& command_;
  std::vector<std::string> prompts_;
  Model model_;
  SamplingOptions sampling_;
  bool streams_;
  std::vector<Result> results_;       // [n_prompts]
  std::optional<Progress> progress_;  // while the prompt is read
  Clock::time_point start_ = {};
};

void generate(const GenerateCommand& command) {
  GenerateRun run(command);
  run.run();
  run.print_results();
  check_interrupt();
}

}  // namespace

void add_generate(CLI::App& app) {
  auto options = std::make_shared<GenerateCommand>();
  CLI::App* command = app.add_subcommand("generate", "Continue a text, or answer a request");
  add_model_options(*command, options->model);
  add_context_option(*command, options->model, "what the prompts and -n need");
  command
      ->add_option("-p,--prompt", options->prompts,
                   "The text to continue; \"-\": standard input. Repeat it for several at once")
      ->allow_extra_args(false);
  command->add_option("-f,--file", options->files, "The same from a file")->allow_extra_args(false);
  command
      ->add_option("-n,--max-tokens", options->n_tokens,
                   "At most so many new tokens (default: the model's own limit, else 256)")
      ->check(whole_number(1));
  command->add_flag("--chat", options->chat,
                    "The prompt is a user's message, in the model's instruct format");
  command->add_option("--system", options->system, "A system message before it")->needs("--chat");
  command
      ->add_option("--stop", options->stop,
                   "End before this text, which isn't printed. Repeat it for several")
      ->allow_extra_args(false);
  add_sampling_options(*command, options->sampling);
  command->add_flag("--timings", options->timings, "Print on stderr how long it took");
  CLI::Option* json = command->add_flag(
      "--json", options->json,
      "Print an object with prompt, text, ids, finish_reason (eos, stop, length or cancelled), "
      "seed, timings and logprobs; an array of them for several prompts");
  command
      ->add_option("--logprobs", options->logprobs,
                   "In the JSON: ln of each token's probability, and of so many alternatives")
      ->check(whole_number(0))
      ->needs(json);
  command->footer(
      "Only new text is printed, followed by a line break; several texts each after a line\n"
      "\"==> 1 <==\". One line break at the end of a file or of standard input isn't part of the\n"
      "prompt. Ctrl-C ends the text where it is, with exit code 130.\n\n"
      "Examples:\n"
      "  mixtral generate examples/models/pocket-mixtral -p \"Once upon a time\"\n"
      "  mixtral generate MODEL -p \"Do you have mayonnaise recipes?\" --chat --temperature 0.7\n"
      "  mixtral generate MODEL -p \"2 + 2 =\" -n 8 --stop $'\\n' --json --logprobs 5\n"
      "  git log -1 | mixtral generate MODEL -p - --top-p 0.9 --seed 7");
  command->callback([options] { generate(*options); });
}

}  // namespace mixtral::cli

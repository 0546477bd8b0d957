// mixtral perplexity: how well the model predicts a text.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/generate/context.hpp"
#include "mixtral/generate/logprobs.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

constexpr std::size_t kDefaultContext = 2048;

struct PerplexityOptions {
  ModelOptions model;
  std::string file;
  std::size_t stride = 0;
  bool json = false;
};

/// Sums over the negative log-probabilities of scored tokens.
struct Score {
  std::size_t n_tokens = 0;
  double sum = 0;
  double sum_of_squares = 0;

  void add(double nll) noexcept {
    ++n_tokens;
    sum += nll;
    sum_of_squares += nll * nll;
  }
  double mean() const noexcept { return sum / static_cast<double>(n_tokens); }
  /// Standard error of the mean, as if the tokens were independent.
  double standard_error() const noexcept {
    const auto n = static_cast<double>(n_tokens);
    if (n_tokens < 2) return 0;
    return std::sqrt(std::max(0.0, sum_of_squares / n - mean() * mean()) / (n - 1));
  }
};

/// A piece of the text that is evaluated in a context of its own, after BOS.
struct Window {
  std::size_t begin, end;    // tokens of the text
  std::size_t first_scored;  // those before it were scored by earlier windows
};

/// Windows of `length` tokens whose beginnings are `stride` apart: every token is scored once.
std::vector<Window> windows_over(std::size_t n_tokens, std::size_t length, std::size_t stride) {
  std::vector<Window> windows;
  std::size_t n_scored = 0;
  for (std::size_t begin = 0; n_scored < n_tokens; begin += stride) {
    const std::size_t end = std::min(begin + length, n_tokens);
    windows.push_back({begin, end, n_scored});
    n_scored = end;
  }
  return windows;
}

/// Adds the tokens that `window` scores. The token at i is predicted by BOS and begin .. i - 1.
void score_window(const Window& window, std::span<const TokenId> text, TokenId bos,
                  Context& context, Score& score) {
  std::vector<TokenId> input = {bos};
  input.insert(input.end(), text.begin() + window.begin, text.begin() + window.end - 1);
  const std::size_t n_known =
      window.first_scored - window.begin;  // inputs whose logits don't matter

  context.rewind(0);
  const std::span<const TokenId> ids = input;
  if (n_known > 0) context.eval(ids.first(n_known));
  context.eval(ids.subspan(n_known), [&](std::size_t first, MatrixView<const float> logits) {
    check_interrupt();
    for (std::size_t row = 0; row < logits.rows; ++row) {
      score.add(-logprob(logits.row(row), text[window.first_scored + first + row]));
    }
  });
}

std::vector<TokenId> read_text(const PerplexityOptions& options, const Tokenizer& tokenizer,
                               std::size_t& n_bytes) {
  const std::string text = read_input(options.file);
  if (text.empty()) {
    throw Error(ErrorCode::invalid_argument, options.file + ": expected text, found an empty file");
  }
  n_bytes = text.size();
  return tokenizer.encode(text);
}

void print_result(const Json& result) {
  const auto number = [&](const char* key) { return result[key].get<double>(); };
  std::array<char, 256> line;
  const double perplexity = number("perplexity");
  std::snprintf(line.data(), line.size(),
                "perplexity %.4f +- %.4f (%zu tokens, context %zu, stride %zu, %.4f bits/byte, "
                "%.1f tokens/s)\n",
                perplexity, perplexity * number("standard_error"),
                result["n_tokens"].get<std::size_t>(), result["n_ctx"].get<std::size_t>(),
                result["stride"].get<std::size_t>(), number("bits_per_byte"),
                number("tokens_per_second"));
  print(line.data());
}

void perplexity(const PerplexityOptions& options) {
  const Model model = load_model(options.model);
  const Tokenizer& tokenizer = model.tokenizer();
  std::size_t n_bytes = 0;
  const std::vector<TokenId> text = read_text(options, tokenizer, n_bytes);

  ContextOptions context_options = options.model.context();
  if (context_options.n_ctx == 0) {
    context_options.n_ctx = std::min(kDefaultContext, model.config().max_position);
  }
  const std::size_t n_ctx = context_options.n_ctx;
  const std::size_t stride =
      options.stride == 0 ? std::max<std::size_t>(n_ctx / 2, 1) : options.stride;
  if (stride > n_ctx) {
    throw Error(ErrorCode::invalid_argument,
                "--stride: expected at most --ctx = " + std::to_string(n_ctx) + ", found " +
                    std::to_string(stride));
  }
  Context context(model, context_options);

  const auto start = std::chrono::steady_clock::now();
  Score score;
  Progress progress("scoring");
  for (const Window& window : windows_over(text.size(), n_ctx, stride)) {
    score_window(window, text, tokenizer.bos_id(), context, score);
    progress.update(score.n_tokens, text.size());
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

  const auto n_tokens = static_cast<double>(score.n_tokens);
  const Json result = {
      {"perplexity", std::exp(score.mean())},
      {"mean_nll", score.mean()},
      {"standard_error", score.standard_error()},
      {"n_tokens", score.n_tokens},
      {"n_bytes", n_bytes},
      {"bits_per_byte", score.sum / std::log(2.0) / static_cast<double>(n_bytes)},
      {"n_ctx", n_ctx},
      {"stride", stride},
      {"seconds", elapsed.count()},
      {"tokens_per_second", n_tokens / elapsed.count()},
  };
  if (options.json) return print_json(result);
  print_result(result);
}

}  // namespace

void add_perplexity(CLI::App& app) {
  auto options = std::make_shared<PerplexityOptions>();
  CLI::App* command =
      app.add_subcommand("perplexity", "Measure how well the model predicts a text");
  add_model_options(*command, options->model);
  add_context_option(*command, options->model, "2048, or what the model was made for");
  command->add_option("FILE", options->file, "The text; \"-\": standard input")->required();
  command
      ->add_option("--stride", options->stride,
                   "Tokens from the beginning of one window to the next (default: half of --ctx)")
      ->check(whole_number(1));
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "The text is tokenized as a whole. Windows of --ctx tokens begin every --stride tokens;\n"
      "each is read in a fresh context after the beginning-of-text token. A window scores the "
      "tokens that no window before it has scored, so\n"
      "each token of the text counts once, and beyond the first window has at least ctx - stride\n"
      "tokens of context. perplexity = exp(mean of -ln p(token)); --stride equal to --ctx gives\n"
      "disjoint chunks. The figure after +- is one standard error.\n\n"
      "Examples:\n"
      "  mixtral perplexity examples/models/pocket-mixtral README.md\n"
      "  mixtral perplexity MODEL wiki.test.raw --ctx 4096 --stride 512 --json");
  command->callback([options] { perplexity(*options); });
}

}  // namespace mixtral::cli

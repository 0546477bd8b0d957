// mixtral perplexity: how well the model predicts a text.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "command.hpp"
#include "io.hpp"
#include "kl.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/generate/context.hpp"
#include "mixtral/generate/logprobs.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "signals.hpp"
#include "tally.hpp"

namespace mixtral::cli {
namespace {

constexpr std::size_t kDefaultContext = 2048;

struct PerplexityOptions {
  ModelOptions model;
  std::string file;
  std::string kl_base;  // empty: none
  std::size_t stride = 0;
  bool ids = false;
  bool json = false;
};

/// What is scored.
struct Text {
  std::vector<TokenId> ids;
  std::size_t n_bytes = 0;  // 0: there are only ids
  TokenId bos = 0;
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
void score_window(const Window& window, const Text& text, Context& context, Tally& score,
                  std::optional<KlBase>& kl_base) {
  const std::span<const TokenId> tokens = text.ids;
  std::vector<TokenId> input = {text.bos};
  input.insert(input.end(), tokens.begin() + window.begin, tokens.begin() + window.end - 1);
  const std::size_t n_known =
      window.first_scored - window.begin;  // inputs whose logits don't matter
  const auto known = std::span<const TokenId>(input).first(n_known);
  const auto scored = std::span<const TokenId>(input).subspan(n_known);

  context.rewind(0);
  if (n_known > 0) context.eval(known);
  if (kl_base) kl_base->begin(known);
  context.eval(scored, [&](std::size_t first, MatrixView<const float> logits) {
    check_interrupt();
    const auto next = tokens.subspan(window.first_scored + first, logits.rows);
    for (std::size_t row = 0; row < logits.rows; ++row) {
      score.add(-logprob(logits.row(row), next[row]));
    }
    if (kl_base) kl_base->compare(scored.subspan(first, logits.rows), logits, next);
  });
}

Text read_text(const PerplexityOptions& options, const Model& model) {
  const std::string bytes = read_input(options.file);
  if (options.ids) return {parse_ids(bytes), 0, model.config().bos_id};
  if (bytes.empty()) {
    throw Error(ErrorCode::invalid_argument, options.file + ": expected text, found an empty file");
  }
  const Tokenizer& tokenizer = model.tokenizer();
  return {tokenizer.encode(bytes), bytes.size(), tokenizer.bos_id()};
}

void print_result(const Json& result) {
  std::array<char, 256> line;
  const auto print_line = [&](const char* format, auto... values) {
    std::snprintf(line.data(), line.size(), format, values...);
    print(line.data());
  };
  const auto number = [](const Json& of, const char* key) { return of[key].get<double>(); };
  const auto count = [&](const char* key) { return result[key].get<std::size_t>(); };

  const double perplexity = number(result, "perplexity");
  print_line("perplexity %.4f +- %.4f (%zu tokens, context %zu, stride %zu, ", perplexity,
             perplexity * number(result, "standard_error"), count("n_tokens"), count("n_ctx"),
             count("stride"));
  if (result.contains("bits_per_byte")) {
    print_line("%.4f bits/byte, ", number(result, "bits_per_byte"));
  }
  print_line("%.1f tokens/s)\n", number(result, "tokens_per_second"));
  if (!result.contains("kl")) return;
  const Json& kl = result["kl"];
  print_line(
      "KL divergence %.6f +- %.6f nats/token, 99th percentile %.6f, top-1 agreement %.2f %%\n",
      number(kl, "mean"), number(kl, "standard_error"), number(kl, "percentile_99"),
      100 * number(kl, "top_1_agreement"));
  print_line("reference perplexity %.4f, ratio %.5f\n", number(kl, "reference_perplexity"),
             number(kl, "perplexity_ratio"));
}

void perplexity(const PerplexityOptions& options) {
  const Model model = load_model(options.model);
  const Text text = read_text(options, model);

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
  std::optional<KlBase> kl_base;
  if (!options.kl_base.empty()) kl_base.emplace(options.kl_base, options.model, model, n_ctx);

  const auto start = std::chrono::steady_clock::now();
  Tally score;
  Progress progress("scoring");
  for (const Window& window : windows_over(text.ids.size(), n_ctx, stride)) {
    score_window(window, text, context, score, kl_base);
    progress.update(score.n, text.ids.size());
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

  Json result = {
      {"perplexity", std::exp(score.mean())},
      {"mean_nll", score.mean()},
      {"standard_error", score.standard_error()},
      {"n_tokens", score.n},
      {"n_ctx", n_ctx},
      {"stride", stride},
      {"seconds", elapsed.count()},
      {"tokens_per_second", static_cast<double>(score.n) / elapsed.count()},
  };
  if (text.n_bytes > 0) {
    result["n_bytes"] = text.n_bytes;
    result["bits_per_byte"] = score.sum / std::log(2.0) / static_cast<double>(text.n_bytes);
  }
  if (kl_base) result["kl"] = kl_base->result(score.mean());
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
  command->add_flag("--ids", options->ids,
                    "FILE holds token ids such as 1,2,3, without BOS, instead of text");
  command->add_option("--kl-base", options->kl_base,
                      "A model of the same vocabulary to compare with, token by token");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "The text is tokenized as a whole. Windows of --ctx tokens begin every --stride tokens;\n"
      "each is read in a fresh context after the beginning-of-text token. A window scores the "
      "tokens that no window before it has scored, so\n"
      "each token of the text counts once, and beyond the first window has at least ctx - stride\n"
      "tokens of context. perplexity = exp(mean of -ln p(token)); --stride equal to --ctx gives\n"
      "disjoint chunks. The figure after +- is one standard error.\n\n"
      "--kl-base runs a second model over the same windows, in f32 whatever --precision and\n"
      "--cache-type say of MODEL. It gives KL(reference || MODEL) per token, in nats, and how\n"
      "often both think the same token likeliest.\n\n"
      "Examples:\n"
      "  mixtral perplexity examples/models/pocket-mixtral README.md\n"
      "  mixtral perplexity MODEL wiki.test.raw --ctx 4096 --stride 512 --json\n"
      "  mixtral perplexity MODEL.mixtral wiki.test.raw --kl-base MODEL");
  command->callback([options] { perplexity(*options); });
}

}  // namespace mixtral::cli

// mixtral convert: packs a model into one native file.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/io/convert.hpp"
#include "mixtral/io/recipe.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

struct ConvertArguments {
  std::string source, target;
  std::string to{kDefaultRecipe};
  std::string recipe_file;
  std::size_t n_threads = 0;
  bool force = false;
  bool json = false;
};

void check_is_free(const ConvertArguments& arguments) {
  std::error_code error;
  if (!arguments.force && std::filesystem::exists(arguments.target, error)) {
    throw Error(ErrorCode::invalid_argument,
                "\"" + arguments.target + "\" exists; --force replaces it");
  }
}

Recipe choose_recipe(const ConvertArguments& arguments, const Config& config) {
  if (arguments.recipe_file.empty()) return named_recipe(arguments.to, config);
  return parse_recipe(read_input(arguments.recipe_file), arguments.recipe_file);
}

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

void print_report(const ConvertArguments& arguments, const Recipe& recipe,
                  const ConvertReport& report, std::size_t file_bytes, double seconds) {
  if (arguments.json) {
    Json substitutions = Json::array();
    for (const Substitution& s : report.substitutions) {
      substitutions.push_back({{"asked_for", name_of(s.asked_for)},
                               {"used", name_of(s.used)},
                               {"width", s.width},
                               {"n_tensors", s.n_tensors}});
    }
    return print_json({{"file", arguments.target},
                       {"recipe", recipe.name},
                       {"file_bytes", file_bytes},
                       {"weight_bytes", report.weight_bytes},
                       {"n_weights", report.n_weights},
                       {"bits_per_weight", report.bits_per_weight()},
                       {"substitutions", substitutions},
                       {"seconds", seconds}});
  }
  std::string text;
  for (const Substitution& s : report.substitutions) {
    text += std::string(name_of(s.used)) + " instead of " + std::string(name_of(s.asked_for)) +
            " in " + std::to_string(s.n_tensors) + " tensors of width " + std::to_string(s.width) +
            ", which blocks of " + std::to_string(block_of(s.asked_for).elements) + " don't divide\n";
  }
  print(text + arguments.target + ": " + format_bytes(static_cast<double>(file_bytes)) + ", " +
        format_count(static_cast<double>(report.n_weights)) + " weights of " +
        fixed(report.bits_per_weight(), 3) + " bits (" + recipe.name + "), in " +
        fixed(seconds, 1) + " s\n");
}

void convert(const ConvertArguments& arguments) {
  check_is_free(arguments);
  const auto source = open_checkpoint(model_path(arguments.source));
  const Recipe recipe = choose_recipe(arguments, source->config());
  ThreadPool pool(arguments.n_threads);
  const auto start = std::chrono::steady_clock::now();
  ConvertReport report;
  {
    Progress progress("converting", Progress::Unit::bytes);
    ConvertOptions options;
    options.on_progress = [&](const ConvertProgress& written) {
      progress.update(written.done, written.total);
      return stop_signal() == 0;
    };
    report = convert_checkpoint(*source, arguments.target, recipe, options, pool);
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  print_report(arguments, recipe, report, std::filesystem::file_size(arguments.target),
               elapsed.count());
}

std::string footer() {
  std::string mixtures;
  for (const Mixture& mixture : kMixtures) {
    mixtures += "  " + std::string(mixture.name) + ": " + describe(mixture) + "\n";
  }
  return "OUT is one file with the weights in the layout of the kernels, the configuration and the\n"
         "tokenizer; every command takes it as MODEL. Norms and routers stay f32. With the name of a\n"
         "type, all matrices have that type; mixtures give more bits where they count:\n" +
         mixtures +
         "In a mixture, what blocks don't divide gets a similar type with smaller blocks. A recipe\n"
         "file gives types to tensors by patterns of their names (mixtral info --tensors) or roles;\n"
         "the last rule that matches wins:\n"
         "  {\"default\": \"q4_k\", \"rules\": [{\"tensors\": \"attention_*\", \"type\": \"q8_0\"},\n"
         "                                {\"tensors\": \"layers.0.expert_down.*\", \"type\": \"q6_k\"}]}\n\n"
         "Examples:\n"
         "  mixtral convert examples/models/pocket-mixtral pocket.mixtral --to q8_0\n"
         "  mixtral convert MODEL small.mixtral --to q4_k_mixed\n"
         "  mixtral convert MODEL mine.mixtral --recipe mine.json --json";
}

}  // namespace

void add_convert(CLI::App& app) {
  auto arguments = std::make_shared<ConvertArguments>();
  CLI::App* command =
      app.add_subcommand("convert", "Pack a model into one file that loads at once, quantised or not");
  command
      ->add_option("IN", arguments->source,
                   "Hugging Face model directory, a file in it, or a native file")
      ->required();
  command->add_option("OUT", arguments->target, "The new file, such as model.mixtral")->required();
  auto* to = command->add_option(
      "--to", arguments->to,
      "A type (f32, f16, bf16, q8_0, q4_k, ..) or a mixture (default: " + arguments->to + ")");
  command->add_option("--recipe", arguments->recipe_file, "A recipe of your own, JSON; \"-\": standard input")
      ->excludes(to);
  add_threads_option(*command, arguments->n_threads);
  command->add_flag("--force", arguments->force, "Replace OUT if it exists");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer(footer());
  command->callback([arguments] { convert(*arguments); });
}

}  // namespace mixtral::cli

// mixtral convert: writes a model in another format, quantised or not.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/io/convert.hpp"
#include "mixtral/io/gguf.hpp"
#include "mixtral/io/hf_writer.hpp"
#include "mixtral/io/recipe.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

/// A format that can be written.
struct Format {
  std::string_view name;
  std::string_view extension;  ///< of files that have it unless --format says otherwise; empty for the rest
  std::string_view default_recipe;
  Recipe (*recipe)(std::string_view name, const Config& config);
  ConvertReport (*convert)(const Checkpoint& source, const std::filesystem::path& path, const Recipe& recipe,
                           const ConvertOptions& options, Executor& executor);
};

constexpr Format kFormats[] = {
    {"gguf", ".gguf", kDefaultGgufRecipe, &named_gguf_recipe, &convert_to_gguf},
    {"native", "", kDefaultRecipe, &named_recipe, &convert_checkpoint},
};

/// --to with this name writes a directory, whose weights have no recipe.
constexpr std::string_view kToHf = "hf";

struct ConvertArguments {
  std::string source, target;
  std::string format;
  std::string to;
  std::string recipe_file;
  std::string dtype;  // empty: the source's
  std::size_t shard_bytes = HfOptions().max_shard_bytes;
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

const Format& choose_format(const ConvertArguments& arguments) {
  const std::string extension = std::filesystem::path(arguments.target).extension().string();
  return *std::find_if(std::begin(kFormats), std::end(kFormats), [&](const Format& format) {
    if (!arguments.format.empty()) return format.name == arguments.format;
    return format.extension.empty() || format.extension == extension;
  });
}

Recipe choose_recipe(const ConvertArguments& arguments, const Format& format, const Config& config) {
  // No type or mixture has a name that ends like this.
  const std::string& file = arguments.to.ends_with(".json") ? arguments.to : arguments.recipe_file;
  if (!file.empty()) return parse_recipe(read_input(file), file);
  return format.recipe(arguments.to.empty() ? format.default_recipe : arguments.to, config);
}

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

void print_report(const ConvertArguments& arguments, std::string_view format, const std::string& recipe,
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
                       {"format", format},
                       {"recipe", recipe},
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
        fixed(report.bits_per_weight(), 3) + " bits (" + recipe + "), in " +
        fixed(seconds, 1) + " s\n");
}

/// Runs `write` with a callback for its progress, and tells how many seconds it took.
template <class Write>
double timed(Write write) {
  const auto start = std::chrono::steady_clock::now();
  Progress progress("converting", Progress::Unit::bytes);
  write([&](const ConvertProgress& written) {
    progress.update(written.done, written.total);
    return stop_signal() == 0;
  });
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void convert_to_file(const ConvertArguments& arguments, const Checkpoint& source, Executor& executor) {
  const Format& format = choose_format(arguments);
  const Recipe recipe = choose_recipe(arguments, format, source.config());
  ConvertReport report;
  const double seconds = timed([&](auto on_progress) {
    report = format.convert(source, arguments.target, recipe, {on_progress}, executor);
  });
  print_report(arguments, format.name, recipe.name, report,
               std::filesystem::file_size(arguments.target), seconds);
}

void convert_to_hf(const ConvertArguments& arguments, const Checkpoint& source, Executor& executor) {
  HfOptions options{.max_shard_bytes = arguments.shard_bytes};
  if (!arguments.dtype.empty()) options.dtype = dtype_of(arguments.dtype);
  ConvertReport report;
  const double seconds = timed([&](auto on_progress) {
    options.on_progress = on_progress;
    report = write_hf_checkpoint(source, arguments.target, options, executor);
  });
  std::size_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(arguments.target)) {
    bytes += file.file_size();
  }
  print_report(arguments, kToHf, std::string(kToHf), report, bytes, seconds);
}

void convert(const ConvertArguments& arguments) {
  const bool to_hf = arguments.to == kToHf;
  if (!to_hf) check_is_free(arguments);  // a directory is never replaced
  const auto source = open_checkpoint(model_path(arguments.source));
  ThreadPool pool(arguments.n_threads);
  to_hf ? convert_to_hf(arguments, *source, pool) : convert_to_file(arguments, *source, pool);
}

std::string footer() {
  std::string mixtures;
  for (const Mixture& mixture : kMixtures) {
    mixtures += "  " + std::string(mixture.name) + ": " + describe(mixture) + "\n";
  }
  return "OUT is one file with the weights, the configuration and the tokenizer; every command takes it\n"
         "as MODEL. A native file has the weights in the layout of the kernels and is the fastest. A file\n"
         "OUT.gguf is one that llama.cpp reads too. Norms and routers stay f32. With the name of a\n"
         "type, all matrices have that type; mixtures give more bits where they count:\n" +
         mixtures + "  and for GGUF, as in llama.cpp: " + std::string(gguf_recipe_names()) + "\n" +
         "In a mixture, what blocks don't divide gets a similar type with smaller blocks. A recipe\n"
         "file gives types to tensors by patterns of their names (mixtral info --tensors) or roles;\n"
         "the last rule that matches wins:\n"
         "  {\"default\": \"q4_k\", \"rules\": [{\"tensors\": \"attention_*\", \"type\": \"q8_0\"},\n"
         "                                {\"tensors\": \"layers.0.expert_down.*\", \"type\": \"q6_k\"}]}\n\n"
         "--to hf writes a new directory that transformers reads: shards, index, configuration and\n"
         "tokenizer. Weights keep their bits unless --dtype asks for another type.\n\n"
         "Examples:\n"
         "  mixtral convert examples/models/pocket-mixtral pocket.mixtral --to q8_0\n"
         "  mixtral convert MODEL small.mixtral --to q4_k_mixed\n"
         "  mixtral convert MODEL small.gguf --to q4_k_m\n"
         "  mixtral convert MODEL mine.mixtral --to mine.json --json\n"
         "  mixtral convert MISTRAL_DIR HF_DIR --to hf --dtype bf16 --shard-size 5GB";
}

}  // namespace

void add_convert(CLI::App& app) {
  auto arguments = std::make_shared<ConvertArguments>();
  CLI::App* command =
      app.add_subcommand("convert", "Write a model in another format: native, GGUF or Hugging Face");
  command
      ->add_option("IN", arguments->source,
                   "Model directory of Hugging Face or Mistral, a file in it, a GGUF file or a native file")
      ->required();
  command
      ->add_option("OUT", arguments->target,
                   "The new file, such as model.mixtral or model.gguf, or directory (--to hf)")
      ->required();
  std::vector<std::string> formats;
  for (const Format& format : kFormats) formats.emplace_back(format.name);
  command
      ->add_option("--format", arguments->format,
                   "That of OUT (default: gguf for names that end with .gguf, else native)")
      ->check(CLI::IsMember(formats));
  auto* to = command->add_option(
      "--to", arguments->to,
      "A type (f32, f16, bf16, q8_0, q4_k, ..), a mixture (default: " + std::string(kDefaultRecipe) +
          "; for GGUF " + std::string(kDefaultGgufRecipe) + "), a recipe of your own (FILE.json), or hf");
  command->add_option("--recipe", arguments->recipe_file, "A recipe in a file of any name; \"-\": standard input")
      ->excludes(to);
  command
      ->add_option("--dtype", arguments->dtype,
                   "With --to hf: type of all weights (default: that of the embedding, else bf16)")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}));
  command
      ->add_option("--shard-size", arguments->shard_bytes,
                   "With --to hf: most bytes of one file, such as 500MB (default: 5GB)")
      ->transform(CLI::AsSizeValue(true));
  add_threads_option(*command, arguments->n_threads);
  command->add_flag("--force", arguments->force, "Replace OUT if it exists");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer(footer());
  command->callback([arguments] { convert(*arguments); });
}

}  // namespace mixtral::cli

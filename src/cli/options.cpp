#include "options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>
#include <string_view>
#include <system_error>

#include "mixtral/core/error.hpp"
#include "mixtral/io/native_checkpoint.hpp"
#include "progress.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

constexpr std::size_t kMaxThreads = 1024;

/// The value among `all` whose name is `name`; nothing for no name.
template <class T, std::size_t N>
std::optional<T> by_name(const std::array<T, N>& all, std::string_view name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](T value) { return name_of(value) == name; });
  return found == all.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

CLI::Validator whole_number(std::size_t min, std::size_t max) {
  const auto check = [min, max](std::string& text) -> std::string {
    std::size_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc() && stop == end && value >= min && value <= max) {
      text = std::to_string(value);
      return {};
    }
    std::string expected = "expected a whole number of at least " + std::to_string(min);
    if (max != std::numeric_limits<std::size_t>::max()) {
      expected += " and at most " + std::to_string(max);
    }
    return expected + ", found \"" + text + "\"";
  };
  return CLI::Validator(check, "");
}

ComputeOptions ModelOptions::compute() const {
  return {.isa = by_name(kAllIsas, isa),
          .gemm = by_name(
              std::array{GemmKind::native, GemmKind::onednn, GemmKind::openblas, GemmKind::eigen},
              gemm),
          .precision = precision == "f32" ? Precision::f32 : Precision::automatic};
}

ContextOptions ModelOptions::context() const {
  ContextOptions context;
  context.n_ctx = n_ctx;
  context.cache_dtype = by_name(kCacheDTypes, cache_type);
  context.n_threads = n_threads;
  return context;
}

DType ModelOptions::cache_dtype() const {
  return context().cache_dtype.value_or(default_cache_dtype(compute().precision));
}

void add_model_path(CLI::App& command, std::string& path) {
  command
      .add_option("MODEL", path,
                  "Native file, GGUF file, model directory of Hugging Face or Mistral, or a file in it")
      ->required();
}

void add_threads_option(CLI::App& command, std::size_t& n_threads) {
  command
      .add_option("-t,--threads", n_threads, "Threads (default: as many as this process may use)")
      ->check(whole_number(1, kMaxThreads));
}

void add_model_options(CLI::App& command, ModelOptions& options) {
  add_model_path(command, options.path);
  add_threads_option(command, options.n_threads);
  command
      .add_option("--precision", options.precision,
                  "auto: the fast path; f32: f32 activations and sums everywhere")
      ->check(CLI::IsMember({"auto", "f32"}));
  command
      .add_option("--gemm", options.gemm,
                  "Library that multiplies the matrices of prompts (default: $MIXTRAL_GEMM, else "
                  "the best measured)")
      ->check(CLI::IsMember({"native", "onednn", "openblas", "eigen"}));
  command
      .add_option("--isa", options.isa,
                  "Instruction set of the kernels (default: $MIXTRAL_ISA, else the best there is)")
      ->check(CLI::IsMember({"baseline", "avx2", "avx2_vnni", "avx512"}));
  command
      .add_option("--cache-type", options.cache_type,
                  "Storage of keys and values (default: f16, or f32 with --precision f32)")
      ->check(CLI::IsMember({"f32", "f16", "bf16", "q8_0"}));
}

void add_context_option(CLI::App& command, ModelOptions& options, const std::string& otherwise) {
  command
      .add_option(
          "--ctx", options.n_ctx,
          "Tokens that a context holds, prompt and new text together (default: " + otherwise + ")")
      ->check(whole_number(1));
}

std::filesystem::path model_path(const std::filesystem::path& path) {
  const std::filesystem::path extension = path.extension();
  std::error_code error;
  if ((extension == ".safetensors" || extension == ".json" || extension == ".pt" ||
       extension == ".pth") &&
      std::filesystem::is_regular_file(path, error) && !is_native_file(path)) {
    return path.has_parent_path() ? path.parent_path() : ".";
  }
  return path;
}

Model load_model(const ModelOptions& options) {
  Progress progress("loading");
  return load(model_path(options.path),
              {.compute = options.compute(), .on_progress = [&](const LoadProgress& load) {
                 progress.update(load.done, load.total);
                 return stop_signal() == 0;
               }});
}

void add_sampling_options(CLI::App& command, SamplingFlags& flags) {
  constexpr const char* kGroup = "Sampling (default: what the model's generation_config.json says)";
  command
      .add_option("--temperature", flags.temperature, "Divides the logits; 0: always the likeliest")
      ->group(kGroup);
  command
      .add_option("--top-k", flags.top_k,
                  "Only the K likeliest tokens; 0: all. This, --top-p and --min-p make a greedy "
                  "model sample, at temperature 1 unless given")
      ->check(whole_number(0))
      ->group(kGroup);
  command
      .add_option("--top-p", flags.top_p,
                  "Only the likeliest tokens that hold this share of the probability")
      ->group(kGroup);
  command
      .add_option("--min-p", flags.min_p,
                  "Only tokens at least this fraction as likely as the likeliest")
      ->group(kGroup);
  command
      .add_option("--repeat-penalty", flags.repeat_penalty,
                  "Above 1 discourages tokens of the prompt and the text so far")
      ->group(kGroup);
  command
      .add_option("--presence-penalty", flags.presence_penalty,
                  "Subtracted from the logits of tokens in the text so far")
      ->group(kGroup);
  command
      .add_option("--frequency-penalty", flags.frequency_penalty,
                  "The same, once for each time that the token occurs")
      ->group(kGroup);
  command
      .add_option("--seed", flags.seed,
                  "Where the random numbers start; the same seed gives the same text (default: a "
                  "new one every time)")
      ->check(whole_number(0))
      ->group(kGroup);
}

SamplingOptions SamplingFlags::over(SamplingOptions defaults) const {
  SamplingOptions options = std::move(defaults);
  const bool filters = top_k || top_p || min_p;
  options.temperature =
      temperature.value_or(filters && options.temperature == 0 ? 1.0 : options.temperature);
  options.top_k = top_k.value_or(options.top_k);
  options.top_p = top_p.value_or(options.top_p);
  options.min_p = min_p.value_or(options.min_p);
  options.repetition_penalty = repeat_penalty.value_or(options.repetition_penalty);
  options.presence_penalty = presence_penalty.value_or(options.presence_penalty);
  options.frequency_penalty = frequency_penalty.value_or(options.frequency_penalty);
  options.seed = seed.value_or(std::random_device()());
  return options;
}

}  // namespace mixtral::cli

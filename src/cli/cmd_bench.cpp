// mixtral bench: how fast the machine runs a model, beside what it could do at best.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench_runner.hpp"
#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "roofs.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

struct BenchOptions {
  ModelOptions model;
  std::vector<std::size_t> prompts = {512};
  std::vector<std::size_t> decodes = {128};
  std::vector<std::size_t> depths = {0};
  std::vector<std::size_t> batches = {1};
  std::size_t repetitions = 5;
  std::uint64_t seed = 0;
  bool json = false;
};

/// Every repetition takes one sample of each, so that all drift alike on a busy machine.
struct Measurements {
  std::vector<std::vector<BenchSample>> samples;  // [n_tests][repetitions]
  std::vector<double> read, f32, bf16;            // roofs; empty where there is none
  Json peak_memory, private_memory;  // before the roofs, which take much for themselves
};

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::vector<BenchTest> make_tests(const BenchOptions& options) {
  std::vector<BenchTest> tests;
  const auto add = [&](BenchTest::Kind kind, std::size_t n, std::size_t depth, std::size_t batch) {
    if (n > 0) tests.push_back({kind, n, depth, batch});
  };
  for (const std::size_t batch : options.batches) {
    for (const std::size_t depth : options.depths) {
      for (const std::size_t n : options.prompts) add(BenchTest::Kind::prompt, n, depth, batch);
      for (const std::size_t n : options.decodes) add(BenchTest::Kind::decode, n, depth, batch);
    }
  }
  return tests;
}

void check_tests(const std::vector<BenchTest>& tests, std::size_t max_position) {
  if (tests.empty()) {
    throw Error(ErrorCode::invalid_argument, "-p and -n are 0: expected at least one test");
  }
  for (const BenchTest& test : tests) {
    if (test.n_tokens > max_position || test.depth > max_position - test.n_tokens) {
      throw Error(ErrorCode::capacity, "test " + test.name() + " needs more than the " +
                                           std::to_string(max_position) +
                                           " positions that the model was made for");
    }
  }
}

/// The product that dominates prompts: the longest one through a matrix of an expert.
GemmShape gemm_shape(const BenchOptions& options, const Config& config) {
  const std::size_t longest = *std::max_element(options.prompts.begin(), options.prompts.end());
  return {longest == 0 ? kBenchChunk : std::min(longest, kBenchChunk), config.ffn, config.hidden};
}

/// A field of /proc/self/status that is given in kB, in bytes; null where there is none.
Json process_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1)) * 1024;
  }
  return nullptr;
}

Measurements measure(const BenchOptions& options, const std::vector<BenchTest>& tests,
                     BenchRunner& runner, const Config& config, ThreadPool& pool) {
  Measurements all;
  all.samples.resize(tests.size());
  Progress progress("measuring");
  const std::size_t n_runs = (options.repetitions + 1) * tests.size();
  std::size_t n_done = 0;
  const auto run = [&](const BenchTest& test) {
    check_interrupt();
    const BenchSample sample = runner.run(test);
    progress.update(++n_done, n_runs);
    return sample;
  };

  for (const BenchTest& test : tests) run(test);  // warms up
  all.peak_memory = process_bytes("VmHWM");
  all.private_memory = process_bytes("RssAnon");

  const GemmShape shape = gemm_shape(options, config);
  const auto f32 = make_gemm_roof(shape, DType::f32, pool.n_threads());
  const auto bf16 = make_gemm_roof(shape, DType::bf16, pool.n_threads());
  ReadRoof read;
  for (std::size_t repetition = 0; repetition < options.repetitions; ++repetition) {
    for (std::size_t i = 0; i < tests.size(); ++i) all.samples[i].push_back(run(tests[i]));
    all.read.push_back(read.measure(pool));
    if (f32 != nullptr) all.f32.push_back(f32->measure());
    if (bf16 != nullptr) all.bf16.push_back(bf16->measure());
  }
  return all;
}

/// `value` in units of `unit`; null where either is missing.
Json ratio(std::optional<double> value, std::optional<double> unit) {
  return value && unit ? Json(*value / *unit) : Json();
}

Json describe(const BenchTest& test, const std::vector<BenchSample>& samples,
              std::optional<double> read_roof, std::optional<double> compute_roof) {
  const auto n_tokens = static_cast<double>(test.n_tokens * test.batch);
  std::vector<double> rates;
  for (const BenchSample& sample : samples) rates.push_back(n_tokens / sample.seconds);
  const double rate = *median(rates);
  const double bytes = samples.front().bytes / n_tokens;  // the same in every repetition
  const double operations = samples.front().operations / n_tokens;
  return {{"test", test.name()},
          {"n_tokens", test.n_tokens},
          {"depth", test.depth},
          {"batch", test.batch},
          {"tokens_per_second", rate},
          {"samples", rates},
          {"bytes_per_token", bytes},
          {"gb_per_second", rate * bytes / 1e9},
          {"read_roof_ratio", ratio(rate * bytes, read_roof)},
          {"gflops", rate * operations / 1e9},
          {"compute_roof_ratio", ratio(rate * operations, compute_roof)}};
}

bool multiplies_bf16(const Model& model) {
  return model.network().precision() == Precision::automatic &&
         count_weights(model.network().checkpoint())
                 .experts.parameters_of[static_cast<std::size_t>(DType::bf16)] > 0;
}

Json describe(const Measurements& all, const std::vector<BenchTest>& tests, const Model& model) {
  const std::optional<double> read = median(all.read), f32 = median(all.f32),
                              bf16 = median(all.bf16);
  const bool uses_bf16 = multiplies_bf16(model) && bf16;
  Json results = Json::array();
  for (std::size_t i = 0; i < tests.size(); ++i) {
    results.push_back(describe(tests[i], all.samples[i], read, uses_bf16 ? bf16 : f32));
  }
  return {{"results", results},
          {"roofs",
           {{"read_gb_per_second", ratio(read, 1e9)},
            {"bf16_gflops", ratio(bf16, 1e9)},
            {"f32_gflops", ratio(f32, 1e9)},
            {"compute", uses_bf16 ? "bf16" : "f32"}}}};
}

Json bench(const BenchOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const Model model = load_model(options.model);
  const std::chrono::duration<double> load_time = std::chrono::steady_clock::now() - start;

  const std::vector<BenchTest> tests = make_tests(options);
  check_tests(tests, model.config().max_position);
  ThreadPool pool(options.model.n_threads);
  const DType cache_dtype = options.model.cache_dtype();
  BenchRunner runner(model.network(), pool, tests, cache_dtype, options.seed);
  const Measurements all = measure(options, tests, runner, model.config(), pool);
  Json report = describe(all, tests, model);

  report["model"] = options.model.path;
  report["isa"] = name_of(model.network().isa());
  report["gemm"] = name_of(model.network().gemm());
  report["precision"] = options.model.precision;
  report["cache_dtype"] = name_of(cache_dtype);
  report["n_threads"] = pool.n_threads();
  report["repetitions"] = options.repetitions;
  report["seed"] = options.seed;
  report["load_seconds"] = load_time.count();
  report["weight_bytes"] = model.network().checkpoint().weight_bytes();
  report["peak_memory_bytes"] = all.peak_memory;
  report["private_memory_bytes"] = all.private_memory;
  return report;
}

std::string percent(const Json& ratio) {
  if (ratio.is_null()) return "-";
  std::array<char, 16> text;
  std::snprintf(text.data(), text.size(), "%.0f %%", 100 * ratio.get<double>());
  return text.data();
}

std::string text_of(const Json& report) {
  std::array<char, 256> line;
  std::snprintf(line.data(), line.size(), "%-16s %12s %12s %9s %7s %10s %7s\n", "test", "tokens/s",
                "per token", "GB/s", "of roof", "GFLOP/s", "of roof");
  std::string text = line.data();
  for (const Json& result : report["results"]) {
    std::snprintf(line.data(), line.size(), "%-16s %12.2f %12s %9.2f %7s %10.1f %7s\n",
                  result["test"].get<std::string>().c_str(),
                  result["tokens_per_second"].get<double>(),
                  format_bytes(result["bytes_per_token"].get<double>()).c_str(),
                  result["gb_per_second"].get<double>(), percent(result["read_roof_ratio"]).c_str(),
                  result["gflops"].get<double>(), percent(result["compute_roof_ratio"]).c_str());
    text += line.data();
  }
  return text;
}

/// What the table doesn't say.
std::string summary_of(const Json& report) {
  std::string text;
  const auto field = [&](const char* label, const std::string& value) {
    text += (text.empty() ? "" : ", ") + std::string(label) + value;
  };
  const auto rate = [](const Json& value, const char* unit) {
    std::array<char, 32> number;
    std::snprintf(number.data(), number.size(), "%.1f %s", value.get<double>(), unit);
    return std::string(number.data());
  };
  const Json& roofs = report["roofs"];
  field("roofs: read ", rate(roofs["read_gb_per_second"], "GB/s"));
  if (!roofs["bf16_gflops"].is_null()) field("bf16 ", rate(roofs["bf16_gflops"], "GFLOP/s"));
  if (!roofs["f32_gflops"].is_null()) field("f32 ", rate(roofs["f32_gflops"], "GFLOP/s"));
  text += "\n";
  text += std::to_string(report["n_threads"].get<std::size_t>()) + " threads, " +
          report["isa"].get<std::string>() + ", " + report["gemm"].get<std::string>() +
          ", precision " + report["precision"].get<std::string>() + ", loaded in " +
          rate(report["load_seconds"], "s");
  if (!report["peak_memory_bytes"].is_null()) {
    text += ", peak memory " + format_bytes(report["peak_memory_bytes"].get<double>());
  }
  text += "\n";
  return text;
}

}  // namespace

void add_bench(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Time prompts and decoding");
  add_model_options(*command, options->model);
  const auto list = [&](const std::string& name, std::vector<std::size_t>& values,
                        const std::string& help, std::size_t min) {
    command->add_option(name, values, help)
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(whole_number(min));
  };
  list("-p,--prompt", options->prompts,
       "Lengths of prompts, such as 16,128,512 (default: 512; 0: none)", 0);
  list("-n,--decode", options->decodes,
       "Numbers of tokens to decode one by one (default: 128; 0: none)", 0);
  list("-d,--depth", options->depths, "Tokens in the context before (default: 0)", 0);
  list("-b,--batch", options->batches, "Sequences side by side (default: 1)", 1);
  command
      ->add_option("-r,--repetitions", options->repetitions, "Timed runs of each test (default: 5)")
      ->check(whole_number(1));
  command->add_option("--seed", options->seed, "Chooses the random tokens (default: 0)")
      ->check(whole_number(0));
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "ppN: a prompt of N random tokens, in chunks of 512. tgN: N tokens decoded one by one. @dD: "
      "in a\n"
      "context that holds D tokens. @bB: B sequences side by side; tokens per second of all "
      "together.\n"
      "Each figure is the median of the repetitions, after one that isn't counted; every "
      "repetition\n"
      "runs all tests and then the roofs: reading memory with all threads, and oneDNN alone\n"
      "multiplying [prompt, hidden] by an expert's matrix that is packed as it likes. Bytes per "
      "token\n"
      "are those of the weights (of the experts that were chosen) and of the cache, each once per\n"
      "forward pass. Peak memory includes the weights that were read, which are page cache; the\n"
      "private part of it, measured after the tests, is in the JSON.\n\n"
      "Examples:\n"
      "  mixtral bench examples/models/pocket-mixtral\n"
      "  mixtral bench MODEL -p 16,128,512 -n 32 -t 2 --json\n"
      "  mixtral bench MODEL -p 0 -n 64 --depth 0,4096 --batch 1,4");
  command->callback([options] {
    const Json report = bench(*options);
    if (options->json) return print_json(report);
    print(text_of(report));
    std::fputs(summary_of(report).c_str(), stderr);
  });
}

}  // namespace mixtral::cli

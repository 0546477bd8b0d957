// mixtral bench: how fast the machine runs a model, beside what it could do at best.
#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench_load.hpp"
#include "bench_report.hpp"
#include "bench_runner.hpp"
#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "roofs/roofs.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

using roofs::Arithmetic;

struct BenchOptions {
  ModelOptions model;
  std::vector<std::size_t> prompts = {16, 512};
  std::size_t n_decode = 32;
  std::vector<std::size_t> depths = {0};
  std::vector<std::size_t> batches = {1};
  std::size_t repetitions = 3;
  std::uint64_t seed = 0;
  bool full = false;
  bool cold = false;
  bool json = false;
};

bool fits(const BenchTest& test, std::size_t max_position) {
  return test.n_tokens <= max_position && test.depth <= max_position - test.n_tokens;
}

std::vector<BenchTest> make_tests(const BenchOptions& options) {
  std::vector<BenchTest> tests;
  for (const std::size_t n : options.prompts) {
    if (n > 0) tests.push_back({BenchTest::Kind::prompt, n});
  }
  if (options.n_decode == 0) return tests;
  for (const std::size_t batch : options.batches) {
    for (const std::size_t depth : options.depths) {
      tests.push_back({BenchTest::Kind::decode, options.n_decode, depth, batch});
    }
  }
  return tests;
}

/// Those of all tests that the model has positions for.
std::vector<BenchTest> make_full_tests(std::size_t max_position) {
  std::vector<BenchTest> tests;
  const auto add = [&](const BenchTest& test) {
    if (fits(test, max_position)) tests.push_back(test);
  };
  for (const std::size_t n : {1, 4, 16, 64, 128, 512, 2048}) add({BenchTest::Kind::prompt, n});
  for (const std::size_t depth : {0, 4096, 16384}) add({BenchTest::Kind::decode, 32, depth});
  for (const std::size_t batch : {4, 16}) add({BenchTest::Kind::decode, 32, 0, batch});
  return tests;
}

void check_tests(const std::vector<BenchTest>& tests, std::size_t max_position) {
  if (tests.empty()) {
    throw Error(ErrorCode::invalid_argument, "-p and -n are 0: expected at least one test");
  }
  for (const BenchTest& test : tests) {
    if (!fits(test, max_position)) {
      throw Error(ErrorCode::capacity, "test " + test.name() + " needs more than the " +
                                           std::to_string(max_position) +
                                           " positions that the model was made for");
    }
  }
}

/// Opens the model for a moment only: a file that is mapped can't be timed cold.
std::vector<BenchTest> tests_for_model(const BenchOptions& options) {
  const std::size_t max_position = load_model(options.model).config().max_position;
  std::vector<BenchTest> tests =
      options.full ? make_full_tests(max_position) : make_tests(options);
  check_tests(tests, max_position);
  return tests;
}

/// A field of /proc/self/status that is given in kB, in bytes.
std::optional<std::size_t> process_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1)) * 1024;
  }
  return std::nullopt;
}

Measurements measure(const BenchOptions& options, const std::vector<BenchTest>& tests,
                     BenchRunner& runner, Isa isa, ThreadPool& pool) {
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
  const auto measure_peak = [&](Arithmetic arithmetic, std::vector<double>& roof) {
    if (!has_arithmetic(isa, arithmetic)) return;
    roof.push_back(measure_arithmetic(isa, arithmetic, pool));
  };

  for (const BenchTest& test : tests) run(test);  // warms up
  all.peak_memory = process_bytes("VmHWM");
  all.private_memory = process_bytes("RssAnon");

  roofs::ReadRoof read;
  for (std::size_t repetition = 0; repetition < options.repetitions; ++repetition) {
    for (std::size_t i = 0; i < tests.size(); ++i) all.samples[i].push_back(run(tests[i]));
    all.read.push_back(read.measure(pool));
    measure_peak(Arithmetic::f32, all.f32);
    measure_peak(Arithmetic::bf16, all.bf16);
    measure_peak(Arithmetic::int8, all.int8);
  }
  return all;
}

/// In which the experts, most of the model, are multiplied.
Arithmetic arithmetic_of(const Mixtral& network) {
  if (network.precision() == Precision::f32) return Arithmetic::f32;
  const auto parameters_of = count_weights(network.checkpoint()).experts.parameters_of;
  const auto most = std::max_element(parameters_of.begin(), parameters_of.end());
  const auto dtype = static_cast<DType>(most - parameters_of.begin());
  if (is_quantised(dtype)) return Arithmetic::int8;
  const bool bf16 = dtype == DType::bf16 && has_arithmetic(network.isa(), Arithmetic::bf16);
  return bf16 ? Arithmetic::bf16 : Arithmetic::f32;
}

Json bench(const BenchOptions& options) {
  const std::vector<BenchTest> tests = tests_for_model(options);
  const LoadTimes load = time_load(options.model, options.cold || options.full);
  const Model model = load_model(options.model);
  const Mixtral& network = model.network();
  ThreadPool pool(options.model.n_threads);
  const DType cache_dtype = options.model.cache_dtype();
  BenchRunner runner(network, pool, tests, cache_dtype, options.seed);
  Measurements all = measure(options, tests, runner, network.isa(), pool);
  all.load = load;
  Json report = describe(all, tests, arithmetic_of(network));

  report["model"] = options.model.path;
  report["isa"] = name_of(network.isa());
  report["gemm"] = name_of(network.gemm());
  report["precision"] = options.model.precision;
  report["cache_dtype"] = name_of(cache_dtype);
  report["n_threads"] = pool.n_threads();
  report["repetitions"] = options.repetitions;
  report["seed"] = options.seed;
  report["weight_bytes"] = network.checkpoint().weight_bytes();
  return report;
}

}  // namespace

void add_bench(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Time loading, prompts and decoding");
  add_model_options(*command, options->model);
  const auto list = [&](const std::string& name, std::vector<std::size_t>& values,
                        const std::string& help, std::size_t min) {
    return command->add_option(name, values, help)
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(whole_number(min));
  };
  CLI::Option* prompts = list("-p,--pp", options->prompts,
                              "Lengths of prompts (default: 16,512; 0: none)", 0);
  CLI::Option* n_decode =
      command
          ->add_option("-n,--tg", options->n_decode,
                       "Tokens to decode one by one (default: 32; 0: none)")
          ->check(whole_number(0));
  CLI::Option* depths = list("-d,--tg-depth", options->depths,
                             "Positions in the context before those (default: 0)", 0);
  CLI::Option* batches = list("-b,--batch", options->batches,
                              "Sequences to decode side by side (default: 1)", 1);
  command
      ->add_flag("--full", options->full,
                 "Prompts of 1 to 2048 tokens, decoding at depths 0 to 16384 and in batches of 1 "
                 "to 16, a cold load")
      ->excludes(prompts, n_decode, depths, batches);
  command->add_flag("--cold", options->cold,
                    "Time a load from disk too: drops the model's files from memory first");
  command
      ->add_option("-r,--repetitions", options->repetitions, "Timed runs of each test (default: 3)")
      ->check(whole_number(1));
  command->add_option("--seed", options->seed, "Chooses the random tokens (default: 0)")
      ->check(whole_number(0));
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "ppN: a prompt of N random tokens, in chunks of 512. tgN: N tokens decoded one by one. @dD: "
      "in a\n"
      "context of D positions before them, which are zeros, not computed. @bB: B sequences side by "
      "side;\n"
      "tokens per second of all together.\n\n"
      "Each figure is the median of the repetitions, after one that isn't counted. Every "
      "repetition runs\n"
      "all tests, each for a tenth of a second at least, and then the roofs, with the same "
      "threads:\n"
      "reading memory, and products of int8, bf16 and f32 in registers. Bytes per token are those "
      "of\n"
      "the weights (of the experts that were chosen) and of the cache, each once per forward pass.\n"
      "An operation is a multiplication or an addition; their roof is that of the experts' type.\n\n"
      "Loading is timed to the first logits. Peak memory includes the weights that were read, "
      "which\n"
      "are page cache; private memory, after the tests, doesn't.\n\n"
      "Examples:\n"
      "  mixtral bench examples/models/pocket-mixtral\n"
      "  mixtral bench MODEL -p 16,128,512 -n 32 -t 2 --json\n"
      "  mixtral bench MODEL -p 0 -n 64 --tg-depth 0,4096 --batch 1,4\n"
      "  mixtral bench MODEL --full");
  command->callback([options] {
    const Json report = bench(*options);
    if (options->json) return print_json(report);
    print(table_of(report));
    std::fputs(summary_of(report).c_str(), stderr);
  });
}

}  // namespace mixtral::cli

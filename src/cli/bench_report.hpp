// What `mixtral bench` tells about its measurements.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench_load.hpp"
#include "bench_runner.hpp"
#include "io.hpp"
#include "roofs/roofs.hpp"

namespace mixtral::cli {

/// Every repetition takes one sample of each, so that all drift alike on a busy machine.
struct Measurements {
  std::vector<std::vector<BenchSample>> samples;  // [n_tests][repetitions]
  std::vector<double> read;                       // bytes per second
  std::vector<double> f32, bf16, int8;  // operations per second; empty where the ISA has none
  std::optional<std::size_t> peak_memory, private_memory;  // bytes, before the roofs take theirs
  LoadTimes load;
};

/// The results of the tests, the roofs, load times and memory. Fractions of the arithmetic roof are
/// those of `arithmetic`.
Json describe(const Measurements& all, const std::vector<BenchTest>& tests,
              roofs::Arithmetic arithmetic);

/// The results as a table.
std::string table_of(const Json& report);

/// What the table doesn't say.
std::string summary_of(const Json& report);

}  // namespace mixtral::cli

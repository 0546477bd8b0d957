// What this machine can do at best, and the counters that compare a kernel with it.
#pragma once

#include <benchmark/benchmark.h>

#include "mixtral/core/isa.hpp"
#include "roofs/roofs.hpp"

namespace mixtral::bench {

/// Adds the rate of `bytes` read in each iteration, and its fraction of what `n_threads` threads read
/// from memory. The roof is measured once for each number of threads.
void count_bytes(benchmark::State& state, double bytes, std::size_t n_threads = 1);

/// Adds the rate of `operations` done in each iteration, and its fraction of the arithmetic roof of
/// one thread. Each roof is measured once.
void count_operations(benchmark::State& state, double operations, Isa isa,
                      roofs::Arithmetic arithmetic);

}  // namespace mixtral::bench

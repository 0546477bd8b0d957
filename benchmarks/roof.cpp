#include "roof.hpp"

#include <map>
#include <utility>

#include "mixtral/core/thread_pool.hpp"

namespace mixtral::bench {
namespace {

double read_roof(std::size_t n_threads) {
  static std::map<std::size_t, double> measured;
  const auto [entry, fresh] = measured.try_emplace(n_threads, 0.0);
  if (fresh) {
    ThreadPool pool(n_threads);
    entry->second = roofs::ReadRoof().measure(pool);
  }
  return entry->second;
}

double arithmetic_roof(Isa isa, roofs::Arithmetic arithmetic) {
  static std::map<std::pair<Isa, roofs::Arithmetic>, double> measured;
  const auto [entry, fresh] = measured.try_emplace({isa, arithmetic}, 0.0);
  SerialExecutor one_thread;
  if (fresh) entry->second = roofs::measure_arithmetic(isa, arithmetic, one_thread);
  return entry->second;
}

benchmark::Counter rate(double per_iteration) {
  return {per_iteration, benchmark::Counter::kIsIterationInvariantRate};
}

}  // namespace

void count_bytes(benchmark::State& state, double bytes, std::size_t n_threads) {
  state.counters["B/s"] = rate(bytes);
  state.counters["of_read_roof"] = rate(bytes / read_roof(n_threads));
}

void count_operations(benchmark::State& state, double operations, Isa isa,
                      roofs::Arithmetic arithmetic) {
  state.counters["OP/s"] = rate(operations);
  state.counters["of_arithmetic_roof"] = rate(operations / arithmetic_roof(isa, arithmetic));
}

}  // namespace mixtral::bench

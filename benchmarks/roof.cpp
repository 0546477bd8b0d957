#include "roof.hpp"

#include <map>
#include <utility>

namespace mixtral::bench {
namespace {

double read_roof() {
  SerialExecutor one_thread;
  static const double roof = roofs::ReadRoof().measure(one_thread);
  return roof;
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

void count_bytes(benchmark::State& state, double bytes) {
  state.counters["B/s"] = rate(bytes);
  state.counters["of_read_roof"] = rate(bytes / read_roof());
}

void count_operations(benchmark::State& state, double operations, Isa isa,
                      roofs::Arithmetic arithmetic) {
  state.counters["OP/s"] = rate(operations);
  state.counters["of_arithmetic_roof"] = rate(operations / arithmetic_roof(isa, arithmetic));
}

}  // namespace mixtral::bench

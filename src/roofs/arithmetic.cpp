#include <algorithm>
#include <atomic>
#include <chrono>

#include "roofs/loops.hpp"
#include "roofs/roofs.hpp"

namespace mixtral::roofs {
namespace {

// A run lasts some milliseconds: short enough for a quiet moment of a busy machine, long enough for
// threads to wake up and for the last tasks not to matter.
constexpr std::size_t kRuns = 8;
constexpr std::size_t kTasksPerThread = 16;
constexpr std::size_t kRoundsPerTask = 50'000;

const Loops& loops_of(Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kAvx512Loops;
  if (isa == Isa::avx2_vnni) return kAvx2VnniLoops;
  if (isa == Isa::avx2) return kAvx2Loops;
#endif
  return kBaselineLoops;
}

const Loop& loop_of(Isa isa, Arithmetic arithmetic) noexcept {
  const Loops& loops = loops_of(isa);
  switch (arithmetic) {
    case Arithmetic::f32:
      return loops.f32;
    case Arithmetic::bf16:
      return loops.bf16;
    case Arithmetic::int8:
      break;
  }
  return loops.int8;
}

}  // namespace

std::string_view name_of(Arithmetic arithmetic) noexcept {
  switch (arithmetic) {
    case Arithmetic::f32:
      return "f32";
    case Arithmetic::bf16:
      return "bf16";
    case Arithmetic::int8:
      break;
  }
  return "int8";
}

bool has_arithmetic(Isa isa, Arithmetic arithmetic) noexcept {
  return loop_of(isa, arithmetic).run != nullptr;
}

double measure_arithmetic(Isa isa, Arithmetic arithmetic, Executor& executor) {
  using Clock = std::chrono::steady_clock;
  const Loop& loop = loop_of(isa, arithmetic);
  const std::size_t n_tasks = kTasksPerThread * executor.n_threads();
  std::atomic<float> sink = 0;
  double best = 0;
  for (std::size_t run = 0; run < kRuns; ++run) {
    const Clock::time_point start = Clock::now();
    executor.run(n_tasks, [&](std::size_t, std::size_t) {
      float result = 0;
      loop.run(kRoundsPerTask, &result);
      sink.store(result, std::memory_order_relaxed);
    });
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    const double operations =
        loop.operations_per_round * static_cast<double>(kRoundsPerTask * n_tasks);
    best = std::max(best, operations / elapsed.count());
  }
  return best;
}

}  // namespace mixtral::roofs

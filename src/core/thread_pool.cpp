#include "mixtral/core/thread_pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/cpu_quota.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

constexpr std::size_t kMaxThreads = 4096;

// Longer than the gaps between the parallel regions of a forward pass, and far below a scheduler
// tick, so that an idle pool soon costs nothing.
constexpr std::chrono::microseconds kSpinTime{50};

void pause_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/// Polls `ready` for at most `limit`. True when it became true.
template <class Ready>
bool spin_until(Ready ready, std::chrono::microseconds limit) {
  if (ready()) return true;
  if (limit.count() == 0) return false;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 16; ++i) {
      pause_cpu();
      if (ready()) return true;
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

/// Blocks every signal in this thread, and so in the threads that it starts meanwhile: signals stay
/// with the threads of the host program. Not so faults: the system ends a process when they are
/// blocked in the thread that raises them, such as SIGBUS for a mapped page that is gone.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL}) sigdelset(&all, fault);
    pthread_sigmask(SIG_SETMASK, &all, &previous_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t previous_;
};

struct FreeCpuSet {
  void operator()(cpu_set_t* set) const noexcept { CPU_FREE(set); }
};

/// CPUs that the scheduler may place this thread on.
std::size_t affinity_count() noexcept {
  constexpr std::size_t kMostCpus = 1 << 20;
  for (std::size_t cpus = 1024; cpus <= kMostCpus; cpus *= 2) {
    const std::unique_ptr<cpu_set_t, FreeCpuSet> set(CPU_ALLOC(cpus));
    if (!set) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
    if (sched_getaffinity(0, bytes, set.get()) == 0) {
      return static_cast<std::size_t>(std::max(1, CPU_COUNT_S(bytes, set.get())));
    }
    if (errno != EINVAL) break;  // EINVAL: the kernel's set is larger than ours
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

std::size_t default_thread_count() noexcept {
  const std::size_t cpus = affinity_count();
  try {
    const auto quota = detail::cpu_quota();
    if (!quota || *quota >= static_cast<double>(cpus)) return cpus;
    // Rounded down: a thread beyond the quota makes the kernel stop all of them for a while.
    return std::max<std::size_t>(1, static_cast<std::size_t>(*quota));
  } catch (...) {
    return cpus;
  }
}

// A run is published through one word, `job`: workers join an open job by counting themselves in,
// take tasks from `next_task`, and count themselves out. The caller closes the job once the tasks
// are all taken and waits only for those who joined, so a worker that sleeps delays nobody.
struct ThreadPool::State {
  static constexpr std::uint32_t kJoined = 0xffff;  // number of workers inside the job
  static constexpr std::uint32_t kOpen = 1u << 16;
  static constexpr std::uint32_t kStop = 1u << 17;
  static constexpr std::uint32_t kGeneration = 1u << 18;  // tells jobs apart; may wrap around
  static_assert(kMaxThreads <= kJoined);

  explicit State(std::size_t n)
      : n_threads(n), spin_time(n <= default_thread_count() ? kSpinTime : kSpinTime.zero()) {}

  ~State() {
    job.fetch_or(kStop);
    job.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  void start() {
    const BlockSignals block;
    threads.reserve(n_threads - 1);
    for (std::size_t worker = 1; worker < n_threads; ++worker) {
      threads.emplace_back([this, worker] { work(worker); });
    }
  }

  void work(std::size_t worker) {
    std::uint32_t seen = 0;  // generation of the last job joined
    while (join_next_job(seen)) {
      take_tasks(worker);
      leave_job();
    }
  }

  /// Waits for a job other than `seen` and enters it. False when the pool stops.
  bool join_next_job(std::uint32_t& seen) {
    std::uint32_t current = job.load();
    for (;;) {
      if ((current & kStop) != 0) return false;
      if (is_new(current, seen)) {
        if (job.compare_exchange_weak(current, current + 1)) {
          seen = generation(current);
          return true;
        }
      } else if (!spin_until(
                     [&] {
                       current = job.load();
                       return (current & kStop) != 0 || is_new(current, seen);
                     },
                     spin_time)) {
        job.wait(current);
        current = job.load();
      }
    }
  }

  static std::uint32_t generation(std::uint32_t word) { return word & ~(kGeneration - 1); }
  static bool is_new(std::uint32_t word, std::uint32_t seen) {
    return (word & kOpen) != 0 && generation(word) != seen;
  }

  void take_tasks(std::size_t worker) noexcept {
    try {
      for (std::size_t t; (t = next_task.fetch_add(1, std::memory_order_relaxed)) < n_tasks;) {
        (*task)(t, worker);
      }
    } catch (...) {
      next_task.store(n_tasks, std::memory_order_relaxed);
      if (!failed.test_and_set()) error = std::current_exception();
    }
  }

  void leave_job() {
    const std::uint32_t before = job.fetch_sub(1);
    if ((before & (kOpen | kJoined)) != 1) return;
    all_left.store(1);
    all_left.notify_one();
  }

  void run(std::size_t n, const TaskRef& body) {
    task = &body;
    n_tasks = n;
    next_task.store(0, std::memory_order_relaxed);
    failed.clear();
    all_left.store(0, std::memory_order_relaxed);
    job.store((generation(job.load(std::memory_order_relaxed)) + kGeneration) | kOpen);
    job.notify_all();
    take_tasks(0);
    if ((job.fetch_and(~kOpen) & kJoined) != 0) wait_for_workers();
    if (error) std::rethrow_exception(std::exchange(error, nullptr));
  }

  void wait_for_workers() {
    if (!spin_until([&] { return all_left.load() != 0; }, spin_time)) all_left.wait(0);
  }

  const std::size_t n_threads;
  const std::chrono::microseconds spin_time;
  std::atomic_flag busy;  // a run is under way

  const TaskRef* task = nullptr;
  std::size_t n_tasks = 0;
  std::exception_ptr error;  // the first one; guarded by `failed`
  std::atomic_flag failed;

  // Generations start at 1 so that a new worker has seen none.
  alignas(64) std::atomic<std::uint32_t> job{0};
  alignas(64) std::atomic<std::size_t> next_task{0};
  alignas(64) std::atomic<std::uint32_t> all_left{0};

  std::vector<std::thread> threads;
};

ThreadPool::ThreadPool(std::size_t n_threads) {
  if (n_threads == 0) n_threads = std::min(default_thread_count(), kMaxThreads);
  if (n_threads > kMaxThreads) {
    throw Error(ErrorCode::invalid_argument, "thread count: expected at most " +
                                                 std::to_string(kMaxThreads) + ", found " +
                                                 std::to_string(n_threads));
  }
  try {
    state_ = std::make_unique<State>(n_threads);
    state_->start();
  } catch (const std::exception& e) {  // system_error from a thread, or bad_alloc
    throw Error(ErrorCode::out_of_memory,
                "can't start " + std::to_string(n_threads) + " threads: " + e.what());
  }
}

ThreadPool::~ThreadPool() = default;

std::size_t ThreadPool::n_threads() const noexcept { return state_->n_threads; }

void ThreadPool::run(std::size_t n_tasks, TaskRef task) {
  State& state = *state_;
  if (state.busy.test_and_set()) {
    throw Error(ErrorCode::invalid_argument,
                "ThreadPool::run: the pool is already running tasks; use one pool per caller");
  }
  struct Release {
    std::atomic_flag& flag;
    ~Release() { flag.clear(); }
  } const release{state.busy};

  if (state.n_threads == 1 || n_tasks == 1) {
    for (std::size_t t = 0; t < n_tasks; ++t) task(t, 0);
  } else if (n_tasks > 1) {
    state.run(n_tasks, task);
  }
}

}  // namespace mixtral

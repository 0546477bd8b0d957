// The library's own worker threads.
#pragma once

#include <cstddef>
#include <memory>

#include "mixtral/core/executor.hpp"

namespace mixtral {

/// Threads this process may really use: its CPU affinity and cgroup quota, at least 1.
std::size_t default_thread_count() noexcept;

/// Workers that spin for a bounded time after each run, then sleep. The calling thread is worker 0.
/// `run` may be called from one thread at a time; separate pools don't disturb each other.
class ThreadPool final : public Executor {
 public:
  /// `n_threads` workers in all, 0 = default_thread_count(). Throws Error when threads can't start.
  explicit ThreadPool(std::size_t n_threads = 0);
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t n_threads() const noexcept override;
  void run(std::size_t n_tasks, TaskRef task) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mixtral

// Where parallel work runs: the interface between the kernels and any thread pool.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace mixtral {

/// A non-owning reference to a callable `void(std::size_t task, std::size_t worker)`.
/// The callable must outlive the reference.
class TaskRef {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, TaskRef>)
  TaskRef(F&& function) noexcept  // NOLINT(google-explicit-constructor): a lambda is passed as is
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(function)))),
        call_([](void* object, std::size_t task, std::size_t worker) {
          (*static_cast<std::remove_reference_t<F>*>(object))(task, worker);
        }) {}

  void operator()(std::size_t task, std::size_t worker) const { call_(object_, task, worker); }

 private:
  void* object_;
  void (*call_)(void*, std::size_t, std::size_t);
};

/// Runs independent tasks. Implement it to plug in a host program's own threads.
class Executor {
 public:
  virtual ~Executor() = default;

  /// Number of workers, >= 1. Tasks see worker indices below it.
  virtual std::size_t n_threads() const noexcept = 0;

  /// Calls task(t, worker) exactly once for every t in [0, n_tasks), in any order and possibly at
  /// the same time, never twice at once with one worker index. Returns when all have finished;
  /// rethrows the first exception. One caller at a time.
  virtual void run(std::size_t n_tasks, TaskRef task) = 0;
};

/// Runs every task in the calling thread.
class SerialExecutor final : public Executor {
 public:
  std::size_t n_threads() const noexcept override { return 1; }
  void run(std::size_t n_tasks, TaskRef task) override {
    for (std::size_t t = 0; t < n_tasks; ++t) task(t, 0);
  }
};

}  // namespace mixtral

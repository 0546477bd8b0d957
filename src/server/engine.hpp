// The model at work: one thread owns the batch; the threads of requests hand it jobs and wait for pieces.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "api/job.hpp"

namespace mixtral::server {

/// A piece of the text number `job` of a request, or of its prompt.
struct Event {
  std::size_t job;
  bool is_of_prompt;
  api::Piece piece;
};

/// The jobs of one request at work. Dropping it ends those that aren't finished. One thread at a time.
class Run {
 public:
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// True once the engine has taken the jobs; false after `timeout`. Throws what the batch threw.
  bool wait_until_taken(std::chrono::milliseconds timeout);

  /// What has come since the last call; waits up to `timeout` for the first. Throws ApiError when the jobs
  /// can't be finished.
  std::vector<Event> wait(std::chrono::milliseconds timeout);

  /// No more events will come.
  bool is_finished() const;

 private:
  friend class Engine;
  struct State;
  explicit Run(std::shared_ptr<State> state) noexcept;

  std::shared_ptr<State> state_;
};

class Engine {
 public:
  /// At most `max_waiting` jobs wait for one of the batch's sequences.
  Engine(const Model& model, const BatchOptions& options, std::size_t max_waiting);
  ~Engine();  ///< ends what is running

  /// Hands over jobs, all or none. Throws ApiError(429) when too many wait already.
  std::unique_ptr<Run> start(std::vector<api::Job> jobs);

  /// After the last step.
  BatchStats stats() const;

  /// Jobs handed over and not finished.
  std::size_t n_jobs() const;

 private:
  using RunState = std::shared_ptr<Run::State>;
  struct Member {
    RunState run;
    std::size_t job;
  };

  void work();
  bool wait_for_work();
  void take(const RunState& run);
  void drop_abandoned();
  void step();
  void drop_finished();
  void fail_all(const std::exception_ptr& error);

  Batch batch_;
  std::size_t max_jobs_;
  std::map<std::size_t, Member> members_;  // by index in the batch; the engine's thread alone

  mutable std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<RunState> inbox_;
  std::size_t n_jobs_ = 0;
  BatchStats stats_;
  bool is_stopping_ = false;

  std::thread thread_;
};

}  // namespace mixtral::server

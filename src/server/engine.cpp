#include "server/engine.hpp"

#include <atomic>
#include <string>
#include <utility>

#include "api/error.hpp"

namespace mixtral::server {

using api::ApiError;

struct Run::State {
  std::vector<api::Job> jobs;
  std::atomic<bool> is_abandoned = false;

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Event> events;
  std::size_t n_left;  // jobs that aren't finished
  bool is_taken = false;
  std::exception_ptr error;

  void push(Event event) {
    const std::lock_guard lock(mutex);
    events.push_back(std::move(event));
    changed.notify_one();
  }

  void finish_one() {
    const std::lock_guard lock(mutex);
    --n_left;
    changed.notify_one();
  }

  void fail(const std::exception_ptr& reason) {
    const std::lock_guard lock(mutex);
    error = reason;
    n_left = 0;
    changed.notify_one();
  }

  void rethrow() const {
    if (error) std::rethrow_exception(error);
  }
};

Run::Run(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

Run::~Run() { state_->is_abandoned = true; }

bool Run::wait_until_taken(std::chrono::milliseconds timeout) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, timeout, [&] { return state_->is_taken || state_->error; });
  state_->rethrow();
  return state_->is_taken;
}

std::vector<Event> Run::wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, timeout, [&] {
    return !state_->events.empty() || state_->n_left == 0 || state_->error;
  });
  state_->rethrow();
  return std::exchange(state_->events, {});
}

bool Run::is_finished() const {
  const std::lock_guard lock(state_->mutex);
  return state_->n_left == 0 && state_->events.empty();
}

Engine::Engine(const Model& model, const BatchOptions& options, std::size_t max_waiting)
    : batch_(model, options),
      max_jobs_(options.max_sequences + max_waiting),
      thread_([this] { work(); }) {}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    has_work_.notify_one();
  }
  thread_.join();
}

std::unique_ptr<Run> Engine::start(std::vector<api::Job> jobs) {
  auto state = std::make_shared<Run::State>();
  state->n_left = jobs.size();
  state->jobs = std::move(jobs);
  const std::lock_guard lock(mutex_);
  if (n_jobs_ >= max_jobs_) {
    throw ApiError(429, "too many requests are waiting: try again later", "", "queue_full");
  }
  n_jobs_ += state->n_left;
  inbox_.push_back(state);
  has_work_.notify_one();
  return std::unique_ptr<Run>(new Run(std::move(state)));
}

BatchStats Engine::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

std::size_t Engine::n_jobs() const {
  const std::lock_guard lock(mutex_);
  return n_jobs_;
}

void Engine::work() {
  while (wait_for_work()) {
    drop_abandoned();
    step();
    drop_finished();
    const BatchStats stats = batch_.stats();
    const std::lock_guard lock(mutex_);
    stats_ = stats;
  }
  fail_all(std::make_exception_ptr(ApiError(503, "the server is shutting down", "", "shutting_down")));
}

/// Takes what has been handed over. False when it is time to stop.
bool Engine::wait_for_work() {
  std::deque<RunState> taken;
  {
    std::unique_lock lock(mutex_);
    has_work_.wait(lock, [&] { return is_stopping_ || !inbox_.empty() || !members_.empty(); });
    if (is_stopping_) return false;
    taken.swap(inbox_);
  }
  for (const RunState& run : taken) take(run);
  return true;
}

/// Adds all jobs of `run`, or none when one is at fault.
void Engine::take(const RunState& run) {
  std::vector<std::size_t> indices;
  try {
    for (std::size_t job = 0; job < run->jobs.size(); ++job) {
      indices.push_back(api::add(batch_, run->jobs[job], [state = run.get(), job](api::Piece piece) {
        state->push({job, true, std::move(piece)});
      }));
    }
  } catch (...) {
    for (const std::size_t index : indices) batch_.cancel(index);
    {
      const std::lock_guard lock(mutex_);
      n_jobs_ -= run->jobs.size();
    }
    return run->fail(std::current_exception());
  }
  for (std::size_t job = 0; job < indices.size(); ++job) members_[indices[job]] = {run, job};
  run->jobs.clear();
  const std::lock_guard lock(run->mutex);
  run->is_taken = true;
  run->changed.notify_one();
}

void Engine::drop_abandoned() {
  for (const auto& [index, member] : members_) {
    if (member.run->is_abandoned) batch_.cancel(index);
  }
  drop_finished();
}

void Engine::step() {
  try {
    batch_.step([this](std::size_t index, const TokenEvent& event) {
      const Member& member = members_.at(index);
      member.run->push({member.job, false, api::Piece(event)});
      return !member.run->is_abandoned;
    });
  } catch (...) {
    // Whose fault it was isn't known.
    fail_all(std::current_exception());
  }
}

void Engine::drop_finished() {
  std::size_t n_dropped = 0;
  for (auto entry = members_.begin(); entry != members_.end();) {
    if (batch_.holds(entry->first)) {
      ++entry;
      continue;
    }
    entry->second.run->finish_one();
    entry = members_.erase(entry);
    ++n_dropped;
  }
  const std::lock_guard lock(mutex_);
  n_jobs_ -= n_dropped;
}

void Engine::fail_all(const std::exception_ptr& error) {
  for (const auto& [index, member] : members_) {
    batch_.cancel(index);
    member.run->fail(error);
  }
  const std::lock_guard lock(mutex_);
  n_jobs_ -= members_.size();
  members_.clear();
  if (!is_stopping_) return;
  for (const RunState& run : inbox_) run->fail(error);
  inbox_.clear();
}

}  // namespace mixtral::server

// A progress bar for whoever waits at a terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace mixtral::cli {

/// Draws one line on stderr once the work has taken a second, and wipes it at the end. Draws
/// nothing when stderr is no terminal.
class Progress {
 public:
  enum class Unit { any, bytes, lines };  ///< of bytes and lines, the rate is shown too; of bytes, the amount

  explicit Progress(std::string label, Unit unit = Unit::any);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total` units are finished.
  void update(std::size_t done, std::size_t total);

 private:
  using Clock = std::chrono::steady_clock;

  void draw(double done, double total, double elapsed) const;

  std::string label_;
  Unit unit_;
  bool is_terminal_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = start_ + std::chrono::seconds(1);
  bool drawn_ = false;
};

}  // namespace mixtral::cli

// A file of results, one JSON object a line, that can be gone on with after the program was killed.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>

#include "io.hpp"

namespace mixtral::cli {

/// Each result says by "line" which line of the input it answers. Whole lines are appended, and reach
/// the disk a few at a time. One process at a time has the file.
class ResultFile {
 public:
  /// Opens or creates it, cuts off what a killed process left of its last line, and reads which lines
  /// are answered. Throws Error(io), and Error(format) for a line that is no result.
  explicit ResultFile(std::filesystem::path path);
  ~ResultFile();
  ResultFile(const ResultFile&) = delete;
  ResultFile& operator=(const ResultFile&) = delete;

  /// The custom_id in the result for `line`, or nullptr when there is none yet.
  const Json* find(std::size_t line) const;

  /// Throws Error(io): disk full, quota, size limit. What it wrote by then is cut off again next time.
  void append(const Json& result);

  /// Makes what was appended survive a power failure. Throws Error(io).
  void sync();

 private:
  void require_regular() const;
  void lock();
  void read();
  [[noreturn]] void fail(const char* action) const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::map<std::size_t, Json> answered_;  // custom_id by line
  std::size_t n_unsynced_ = 0;
  std::chrono::steady_clock::time_point last_sync_;
};

}  // namespace mixtral::cli

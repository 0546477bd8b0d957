// Lines that a person types, or that a pipe delivers.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace mixtral::cli {

class LineReader {
 public:
  virtual ~LineReader() = default;

  /// The next line without its end; nothing at the end of the input. Throws Error(cancelled) when a
  /// signal interrupts the wait.
  virtual std::optional<std::string> read() = 0;
};

/// Reads standard input as it is.
std::unique_ptr<LineReader> make_plain_reader();

/// Asks with "> " on stderr, with line editing and a history that `history_file` keeps from one run
/// to the next, readable by its owner alone; a history that can't be kept is no error.
/// Without an editing library in this build, no more than the question.
std::unique_ptr<LineReader> make_terminal_reader(const std::filesystem::path& history_file);

/// mixtral/history in XDG_STATE_HOME, which is ~/.local/state by default.
std::filesystem::path default_history_file();

}  // namespace mixtral::cli

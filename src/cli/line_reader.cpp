#include "line_reader.hpp"

#include <cstdlib>
#include <iostream>

#include "signals.hpp"

namespace mixtral::cli {
namespace {

class PlainReader final : public LineReader {
 public:
  std::optional<std::string> read() override {
    std::string line;
    const bool is_line = static_cast<bool>(std::getline(std::cin, line));
    check_interrupt();
    if (!is_line) return std::nullopt;
    if (line.ends_with('\r')) line.pop_back();
    return line;
  }
};

}  // namespace

std::unique_ptr<LineReader> make_plain_reader() { return std::make_unique<PlainReader>(); }

std::filesystem::path default_history_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/') {  // the specification has relative paths ignored
    return std::filesystem::path(state) / "mixtral" / "history";
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return {};
  return std::filesystem::path(home) / ".local" / "state" / "mixtral" / "history";
}

}  // namespace mixtral::cli

#include <cstdio>

#include "line_reader.hpp"

namespace mixtral::cli {
namespace {

class AskingReader final : public LineReader {
 public:
  std::optional<std::string> read() override {
    std::fputs("> ", stderr);
    return plain_->read();
  }

 private:
  std::unique_ptr<LineReader> plain_ = make_plain_reader();
};

}  // namespace

std::unique_ptr<LineReader> make_terminal_reader(const std::filesystem::path&) {
  return std::make_unique<AskingReader>();
}

}  // namespace mixtral::cli

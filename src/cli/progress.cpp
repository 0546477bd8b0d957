#include "progress.hpp"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "io.hpp"

namespace mixtral::cli {

Progress::Progress(std::string label, Unit unit)
    : label_(std::move(label)), unit_(unit), is_terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::update(std::size_t done, std::size_t total) {
  const Clock::time_point now = Clock::now();
  if (!is_terminal_ || now < next_ || total == 0) return;
  next_ = now + std::chrono::milliseconds(200);
  drawn_ = true;
  draw(static_cast<double>(done), static_cast<double>(total),
       std::chrono::duration<double>(now - start_).count());
}

void Progress::draw(double done, double total, double elapsed) const {
  constexpr int kWidth = 30;
  const double fraction = done / total;
  const int filled = static_cast<int>(fraction * kWidth);
  std::string bar(static_cast<std::size_t>(filled), '#');
  bar.resize(kWidth, '.');
  std::fprintf(stderr, "\r%s [%s] %3.0f %%", label_.c_str(), bar.c_str(), 100 * fraction);
  if (unit_ == Unit::bytes) {
    std::fprintf(stderr, " of %s  %s/s", format_bytes(total).c_str(),
                 format_bytes(done / elapsed).c_str());
  }
  if (unit_ == Unit::lines) std::fprintf(stderr, "  %.2f lines/s", done / elapsed);
  if (fraction > 0) std::fprintf(stderr, "  %.0f s left", elapsed / fraction - elapsed);
  std::fputs("\033[K", stderr);
}

}  // namespace mixtral::cli

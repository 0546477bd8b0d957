#include <algorithm>
#include <atomic>
#include <chrono>

#include "mixtral/core/huge_pages.hpp"
#include "roofs/roofs.hpp"

namespace mixtral::roofs {
namespace {

constexpr std::size_t kWords = std::size_t{512} * 1024 * 1024 / sizeof(std::uint64_t);
constexpr std::size_t kTaskWords = std::size_t{4} * 1024 * 1024 / sizeof(std::uint64_t);
constexpr std::size_t kPasses = 6;
constexpr std::size_t kAhead = 2048 / sizeof(std::uint64_t);  // the distance that measured best

/// Sum of `n` words, a multiple of 8; kAhead more may be prefetched.
std::uint64_t sum_of(const std::uint64_t* words, std::size_t n) noexcept {
  constexpr std::size_t kLine = 8;  // words of a cache line
  std::uint64_t sums[kLine] = {};
  for (std::size_t i = 0; i < n; i += kLine) {
    __builtin_prefetch(words + i + kAhead);
    for (std::size_t j = 0; j < kLine; ++j) sums[j] += words[i + j];
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t part : sums) sum += part;
  return sum;
}

}  // namespace

ReadRoof::ReadRoof() : buffer_(kWords + kAhead) {
  advise_huge_pages(buffer_.data(), buffer_.bytes());
  std::fill_n(buffer_.data(), buffer_.size(), 1);
}

void ReadRoof::read_once(Executor& executor) {
  std::atomic<std::uint64_t> sum = 0;
  executor.run(kWords / kTaskWords, [&](std::size_t task, std::size_t) {
    sum += sum_of(buffer_.data() + task * kTaskWords, kTaskWords);
  });
  checksum_ += sum;
}

double ReadRoof::measure(Executor& executor) {
  using Clock = std::chrono::steady_clock;
  std::chrono::duration<double> best = std::chrono::hours(1);
  for (std::size_t pass = 0; pass < kPasses; ++pass) {
    const Clock::time_point start = Clock::now();
    read_once(executor);
    best = std::min<std::chrono::duration<double>>(best, Clock::now() - start);
  }
  return static_cast<double>(kWords * sizeof(std::uint64_t)) / best.count();
}

}  // namespace mixtral::roofs

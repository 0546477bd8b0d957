#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

#include "mixtral/core/huge_pages.hpp"
#include "roofs/roofs.hpp"

namespace mixtral::roofs {
namespace {

constexpr std::size_t kWords = std::size_t{512} * 1024 * 1024 / sizeof(std::uint64_t);
constexpr std::size_t kTaskWords = std::size_t{4} * 1024 * 1024 / sizeof(std::uint64_t);
constexpr std::size_t kPasses = 3;
constexpr std::size_t kAhead = 2048 / sizeof(std::uint64_t);

/// Sum of `n` words, a multiple of 8 * kStreams, that are read as so many parts side by side; kAhead more may be
/// prefetched.
template <std::size_t kStreams, bool kPrefetches>
std::uint64_t sum_of(const std::uint64_t* words, std::size_t n) noexcept {
  constexpr std::size_t kLine = 8;  // words of a cache line
  std::uint64_t sums[kLine] = {};
  for (std::size_t i = 0; i < n / kStreams; i += kLine) {
    for (std::size_t stream = 0; stream < kStreams; ++stream) {
      const std::uint64_t* line = words + stream * (n / kStreams) + i;
      if constexpr (kPrefetches) __builtin_prefetch(line + kAhead);
      for (std::size_t j = 0; j < kLine; ++j) sums[j] += line[j];
    }
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t part : sums) sum += part;
  return sum;
}

/// What is best differs between processors: some need to be told what to fetch, some fetch better by themselves.
constexpr std::array kWays = {&sum_of<1, true>, &sum_of<1, false>, &sum_of<4, true>, &sum_of<4, false>};

}  // namespace

ReadRoof::ReadRoof() : buffer_(kWords + kAhead) {
  advise_huge_pages(buffer_.data(), buffer_.bytes());
  std::fill_n(buffer_.data(), buffer_.size(), 1);
}

void ReadRoof::read_once(Executor& executor, Sum sum_of) {
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
    for (const Sum sum_of : kWays) {
      const Clock::time_point start = Clock::now();
      read_once(executor, sum_of);
      best = std::min<std::chrono::duration<double>>(best, Clock::now() - start);
    }
  }
  return static_cast<double>(kWords * sizeof(std::uint64_t)) / best.count();
}

}  // namespace mixtral::roofs

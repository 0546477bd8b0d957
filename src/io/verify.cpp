#include <algorithm>

#include "io/checksum.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/native_checkpoint.hpp"

namespace mixtral {

std::vector<std::string> verify_checkpoint(const NativeCheckpoint& checkpoint,
                                           const VerifyCallback& on_progress, Executor& executor) {
  const std::span<const NativePart> parts = checkpoint.parts();
  const std::size_t step = 4 * executor.n_threads();
  std::vector<char> intact(parts.size());  // not bool, whose elements share bytes
  VerifyProgress progress{0, 0};
  for (const NativePart& part : parts) progress.total += part.bytes.size();
  for (std::size_t first = 0; first < parts.size(); first += step) {
    checkpoint.check_unchanged();
    const auto some = parts.subspan(first, std::min(step, parts.size() - first));
    executor.run(some.size(), [&](std::size_t task, std::size_t) {
      intact[first + task] = detail::checksum_of(some[task].bytes) == some[task].checksum;
    });
    for (const NativePart& part : some) progress.done += part.bytes.size();
    if (on_progress && !on_progress(progress)) {
      throw Error(ErrorCode::cancelled, "verifying was cancelled");
    }
  }
  std::vector<std::string> damaged;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!intact[i]) damaged.push_back(parts[i].name);
  }
  return damaged;
}

}  // namespace mixtral

// Calls of a LoadCallback.
#pragma once

#include <filesystem>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

/// Throws Error(cancelled) when the callback asks to stop.
inline void report(const LoadCallback& on_progress, const std::filesystem::path& path,
                   LoadProgress progress) {
  if (on_progress && !on_progress(progress)) {
    throw Error(ErrorCode::cancelled, quote(path) + ": loading was cancelled");
  }
}

}  // namespace mixtral::detail

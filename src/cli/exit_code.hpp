// What the command's exit status means.
#pragma once

#include "mixtral/core/error.hpp"

namespace mixtral::cli {

enum ExitCode : int {
  kSuccess = 0,
  kFailure = 1,       ///< a defect, or something that no other code names
  kUsage = 2,         ///< an option, an argument or its value is wrong
  kIo = 3,            ///< a file is missing, unreadable or unwritable, or changed while in use
  kBadModel = 4,      ///< a file is malformed, or holds a model that isn't supported
  kNoRoom = 5,        ///< the context is too small, or memory ran out
  kInterrupted = 130  ///< Ctrl-C; other signals give 128 + their number
};

constexpr ExitCode exit_code_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return kUsage;
    case ErrorCode::io:
      return kIo;
    case ErrorCode::format:
    case ErrorCode::unsupported:
      return kBadModel;
    case ErrorCode::capacity:
    case ErrorCode::out_of_memory:
      return kNoRoom;
    case ErrorCode::cancelled:
      return kInterrupted;
    case ErrorCode::internal:
      return kFailure;
  }
  return kFailure;
}

}  // namespace mixtral::cli

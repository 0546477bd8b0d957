// The one exception type of the library.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace mixtral {

/// What kind of failure an Error reports. The numbers are the C API's status codes: append only.
enum class ErrorCode : std::int32_t {
  invalid_argument = 1,  ///< the caller passed something that can never work
  io = 2,                ///< a file is missing, unreadable, or changed while in use
  format = 3,            ///< a file's content is malformed or inconsistent
  unsupported = 4,       ///< well-formed, but this library can't honour it
  capacity = 5,          ///< a context, batch or buffer is too small for the request
  out_of_memory = 6,
  cancelled = 7,  ///< a callback asked to stop
  internal = 8,   ///< a defect of the library
};

/// Thrown for everything that a caller, a file or the machine can cause. `what()` names the thing,
/// what was expected and what was found; it is UTF-8 data, never a format string.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace mixtral

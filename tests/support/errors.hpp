// Checks on thrown Error.
#pragma once

#include <initializer_list>
#include <string>

#include "mixtral/core/error.hpp"
#include "support/catch.hpp"

namespace mixtral::test {

/// Requires `action` to throw an Error of this code whose message contains every part.
template <class Action>
void require_error(ErrorCode code, std::initializer_list<std::string> parts,
                   Action action) {
  std::string message;
  try {
    action();
  } catch (const Error& error) {
    message = error.what();
    INFO(message);
    REQUIRE(error.code() == code);
    for (const std::string& part : parts) {
      INFO("expected to find: " << part);
      REQUIRE(message.find(part) != std::string::npos);
    }
    return;
  }
  FAIL("no error was thrown");
}

}  // namespace mixtral::test

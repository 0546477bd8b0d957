// What a client gets instead of an answer.
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "mixtral/core/error.hpp"

namespace mixtral::api {

/// Keys in the order in which they were written.
using Json = nlohmann::ordered_json;

class ApiError : public std::runtime_error {
 public:
  /// `param` names the field at fault and `code` the fault, where there is one.
  ApiError(int status, const std::string& message, std::string param = "", std::string code = "");

  int status() const noexcept { return status_; }
  const std::string& param() const noexcept { return param_; }

  /// {"error": {"message", "type", "param", "code"}}.
  Json to_json() const;

 private:
  int status_;
  std::string param_;
  std::string code_;
};

/// 400 for what the caller can mend; 500 for what it can't.
ApiError to_api_error(const Error& error);

}  // namespace mixtral::api

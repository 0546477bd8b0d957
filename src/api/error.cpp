#include "api/error.hpp"

#include <utility>

namespace mixtral::api {
namespace {

/// The error types of the OpenAI API.
const char* type_of(int status) noexcept {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "service_unavailable_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

ApiError::ApiError(int status, const std::string& message, std::string param, std::string code)
    : std::runtime_error(message),
      status_(status),
      param_(std::move(param)),
      code_(std::move(code)) {}

Json ApiError::to_json() const {
  return {{"error",
           {{"message", what()},
            {"type", type_of(status_)},
            {"param", text_or_null(param_)},
            {"code", text_or_null(code_)}}}};
}

ApiError to_api_error(const Error& error) {
  switch (error.code()) {
    case ErrorCode::invalid_argument:
      return ApiError(400, error.what());
    case ErrorCode::unsupported:
      return ApiError(400, error.what(), "", "unsupported");
    case ErrorCode::capacity:
      return ApiError(400, error.what(), "", "context_length_exceeded");
    case ErrorCode::out_of_memory:
      return ApiError(503, error.what());
    default:
      return ApiError(500, error.what());
  }
}

}  // namespace mixtral::api

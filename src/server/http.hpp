// Requests and replies as the endpoints see them, apart from the HTTP library.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mixtral::server {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What is measured of a request, for the log and the metrics.
struct Record {
  Clock::time_point start = Clock::now();
  std::size_t n_prompt = 0;
  std::size_t n_new = 0;
  std::optional<double> first_token = {};  ///< seconds until it came
  std::string note = {};                   ///< what went wrong, without any of the request's text
};

struct HttpRequest {
  std::string method;
  std::string path;
  std::string accept;
  std::string body;
  std::function<bool()> is_client_gone;
  Record* record;  ///< lives until the reply is sent
};

/// Sends `data` at once; false when the client is gone.
using Write = std::function<bool(std::string_view data)>;

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  /// Sends the body instead, piece by piece.
  std::function<void(const Write&)> stream = {};
};

struct Route {
  std::string method;  ///< GET or POST
  std::string path;
  std::function<HttpReply(const HttpRequest&)> handle;  ///< may throw ApiError and mixtral::Error
  bool is_open = false;                                 ///< needs no key
};

}  // namespace mixtral::server

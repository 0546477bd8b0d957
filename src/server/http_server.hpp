// HTTP/1.1 on a socket: connections, limits and errors. cpp-httplib reads requests and writes replies.
#pragma once

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "api/error.hpp"
#include "server/connection.hpp"
#include "server/http.hpp"

namespace mixtral::server {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8080;  ///< 0: any that is free
  std::size_t max_connections = 256;
  std::size_t max_body_bytes = 16 << 20;
  std::vector<std::string> api_keys = {};  ///< none: everybody is welcome
  ConnectionLimits limits = {};
};

class HttpServer : private httplib::Server {
 public:
  /// Sees each request when its reply is sent. `path` is that of a route, or "other".
  using Observer = std::function<void(const std::string& method, const std::string& path, int status,
                                      const Record& record)>;

  HttpServer(HttpOptions options, std::vector<Route> routes, Observer observer);
  ~HttpServer() override;

  /// Takes the address and returns the port. Throws Error(io).
  int bind();

  /// Serves until `should_stop`. Then requests that are running have `drain` to finish, new ones are
  /// refused, and connections are closed.
  void run(const std::function<bool()>& should_stop, std::chrono::seconds drain);

  std::size_t n_connections() const;

 private:
  void set_handlers();
  void accept_one();
  void serve_connection(int socket, bool is_surplus);
  void serve_requests(Connection& connection);
  void wait_for_requests(std::chrono::seconds drain);
  void close_connections();

  const Route& find_route(const httplib::Request& request, httplib::Response& response) const;
  void check_access(const httplib::Request& request) const;
  void check_body(const httplib::Request& request) const;
  bool handle_without_body(const httplib::Request& request, httplib::Response& response);
  void handle_with_body(const httplib::Request& request, httplib::Response& response,
                        const httplib::ContentReader& reader);
  void reply(const Route& route, const httplib::Request& request, std::string body,
             httplib::Response& response) const;
  void observe(const httplib::Request& request, const httplib::Response& response) const;

  HttpOptions options_;
  std::vector<Route> routes_;
  Observer observer_;
  std::atomic<bool> is_draining_ = false;
  std::atomic<std::size_t> n_requests_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable all_closed_;
  std::size_t n_connections_ = 0;
  std::set<int> sockets_;  // of those that aren't about to be closed
};

}  // namespace mixtral::server

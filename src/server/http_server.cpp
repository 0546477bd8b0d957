#include "server/http_server.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <new>
#include <thread>
#include <utility>

#include "mixtral/core/error.hpp"

namespace mixtral::server {
namespace {

using api::ApiError;

constexpr int kBacklog = 512;
constexpr std::size_t kMaxSurplus = 32;  // connections that are there to be told that there are too many
constexpr std::size_t kMaxChunkMarks = 64 << 10;
constexpr const char* kAnyPath = R"([\s\S]*)";

/// cpp-httplib doesn't hand the connection to its handlers; but each connection has a thread of its own.
thread_local Connection* t_connection = nullptr;
thread_local bool t_is_surplus = false;

/// Time doesn't tell how much of a key was right.
bool is_equal(std::string_view given, std::string_view key) noexcept {
  std::size_t difference = given.size() ^ key.size();
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(key[i % key.size()]);
  }
  return difference == 0;
}

std::string bearer_of(const httplib::Request& request) {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string value = request.get_header_value("Authorization");
  return value.starts_with(kScheme) ? value.substr(kScheme.size()) : "";
}

bool is_json(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find_first_of("; ")));
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return type == "application/json";
}

bool has_body(const httplib::Request& request) {
  return request.has_header("Transfer-Encoding") || request.has_header("Content-Length");
}

void set_error(httplib::Response& response, const ApiError& error) {
  response.status = error.status();
  response.set_content(error.to_json().dump(-1, ' ', false, api::Json::error_handler_t::replace),
                       "application/json");
  if (error.status() == 401) response.set_header("WWW-Authenticate", "Bearer");
  if (error.status() == 429 || error.status() == 503) response.set_header("Retry-After", "1");
  t_connection->record().note = error.what();
}

/// The exception being handled, as an answer.
void set_current_error(httplib::Response& response) {
  try {
    throw;
  } catch (const ApiError& error) {
    set_error(response, error);
  } catch (const Error& error) {
    set_error(response, api::to_api_error(error));
  } catch (const std::bad_alloc&) {
    set_error(response, ApiError(503, "out of memory"));
  } catch (const std::exception& error) {
    set_error(response, ApiError(500, error.what()));
  }
}

/// For errors that cpp-httplib found itself.
void describe_error(const httplib::Request&, httplib::Response& response) {
  if (!response.body.empty()) return;
  t_connection->close_after_reply();  // where the next request begins is uncertain
  const int status = response.status;
  set_error(response, ApiError(status, status == 414   ? "the request's path is too long"
                                       : status == 416 ? "ranges aren't supported"
                                       : status == 400 ? "the request is malformed"
                                                       : "the request failed"));
}

void set_reply(httplib::Response& response, HttpReply reply) {
  response.status = reply.status;
  for (const auto& [name, value] : reply.headers) response.set_header(name, value);
  if (!reply.stream) return response.set_content(reply.body, reply.content_type);
  response.set_header("Cache-Control", "no-store");
  response.set_chunked_content_provider(
      reply.content_type, [stream = std::move(reply.stream)](std::size_t, httplib::DataSink& sink) {
        bool is_gone = false;
        stream([&](std::string_view data) {
          is_gone = is_gone || t_connection->is_gone() || !sink.write(data.data(), data.size());
          return !is_gone;
        });
        if (!is_gone) sink.done();
        return !is_gone;
      });
}

}  // namespace

HttpServer::HttpServer(HttpOptions options, std::vector<Route> routes, Observer observer)
    : options_(std::move(options)), routes_(std::move(routes)), observer_(std::move(observer)) {
  set_handlers();
}

HttpServer::~HttpServer() {
  close_connections();
  std::unique_lock lock(mutex_);
  all_closed_.wait(lock, [&] { return n_connections_ == 0; });
}

void HttpServer::set_handlers() {
  // Not the library's SO_REUSEPORT, with which two servers would share a port.
  set_socket_options([](socket_t socket) {
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  keep_alive_timeout_sec_ = options_.limits.keep_alive.count();
  keep_alive_max_count_ = 1000000;  // stated in replies; there is no limit
  set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    return handle_without_body(request, response) ? HandlerResponse::Handled : HandlerResponse::Unhandled;
  });
  Post(kAnyPath, [this](const httplib::Request& request, httplib::Response& response,
                        const httplib::ContentReader& reader) {
    handle_with_body(request, response, reader);
  });
  set_error_handler(HandlerWithResponse([](const httplib::Request& request, httplib::Response& response) {
    describe_error(request, response);
    return HandlerResponse::Handled;
  }));
  set_logger([this](const httplib::Request& request, const httplib::Response& response) {
    observe(request, response);
  });
}

int HttpServer::bind() {
  const std::string& host = options_.host;
  int port = options_.port;
  if (port == 0) {
    port = bind_to_any_port(host);
  } else if (!bind_to_port(host, port)) {
    port = -1;
  }
  if (port < 0) {
    throw Error(ErrorCode::io, host + ":" + std::to_string(options_.port) +
                                   ": can't listen there: the address is in use or not this machine's");
  }
  ::listen(svr_sock_, kBacklog);  // more than the library's five
  return port;
}

void HttpServer::run(const std::function<bool()>& should_stop, std::chrono::seconds drain) {
  while (!should_stop()) accept_one();
  is_draining_ = true;
  wait_for_requests(drain);
  close_connections();
}

/// New connections are still accepted, and told that there is no more to have.
void HttpServer::wait_for_requests(std::chrono::seconds drain) {
  const Clock::time_point deadline = Clock::now() + drain;
  while (n_requests_ > 0 && Clock::now() < deadline) accept_one();
}

void HttpServer::close_connections() {
  if (const socket_t listener = svr_sock_.exchange(INVALID_SOCKET); listener != INVALID_SOCKET) {
    ::close(listener);
  }
  const std::lock_guard lock(mutex_);
  for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
}

std::size_t HttpServer::n_connections() const {
  const std::lock_guard lock(mutex_);
  return n_connections_;
}

void HttpServer::accept_one() {
  constexpr int kSliceMs = 100;
  pollfd entry{svr_sock_, POLLIN, 0};
  if (::poll(&entry, 1, kSliceMs) <= 0) return;
  const int socket = ::accept4(svr_sock_, nullptr, nullptr, SOCK_CLOEXEC);
  if (socket < 0) {
    // Out of descriptors: the connection stays in the queue.
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return;
  }
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const std::lock_guard lock(mutex_);
  const bool is_surplus = n_connections_ >= options_.max_connections;
  if (n_connections_ >= options_.max_connections + kMaxSurplus) {
    ::close(socket);
    return;
  }
  try {
    std::thread([this, socket, is_surplus] { serve_connection(socket, is_surplus); }).detach();
    sockets_.insert(socket);  // the thread takes it out, and needs the lock for that
    ++n_connections_;
  } catch (const std::system_error&) {
    ::close(socket);
  }
}

void HttpServer::serve_connection(int socket, bool is_surplus) {
  {
    Connection connection(socket, options_.limits);
    t_connection = &connection;
    t_is_surplus = is_surplus;
    try {
      serve_requests(connection);
    } catch (const std::exception&) {
      // Of what the library threw while no request was at hand there is nobody to tell.
    }
    const std::lock_guard lock(mutex_);
    sockets_.erase(socket);  // when it is closed its number may be another's
  }
  const std::lock_guard lock(mutex_);
  if (--n_connections_ == 0) all_closed_.notify_all();
}

void HttpServer::serve_requests(Connection& connection) {
  const auto goes_on = [this] { return !is_draining_; };
  while (!connection.is_last() && connection.wait_for_request(goes_on)) {
    struct Counted {
      explicit Counted(std::atomic<std::size_t>& count) : count_(count) { ++count_; }
      ~Counted() { --count_; }
      std::atomic<std::size_t>& count_;
    } counted(n_requests_);
    bool is_closed = false;
    const bool is_fine = process_request(connection, false, is_closed, [&](httplib::Request& request) {
      connection.begin_body(options_.max_body_bytes + kMaxChunkMarks);
      request.ranges.clear();
      request.headers.erase("Accept-Encoding");  // compressing takes time from the model
    });
    if (!is_fine || is_closed) return;
  }
}

const Route& HttpServer::find_route(const httplib::Request& request, httplib::Response& response) const {
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  std::string allowed;
  for (const Route& route : routes_) {
    if (route.path != request.path) continue;
    if (route.method == method) return route;
    allowed += (allowed.empty() ? "" : ", ") + route.method;
  }
  if (allowed.empty()) throw ApiError(404, "there is nothing at this path", "", "not_found");
  response.set_header("Allow", allowed);
  throw ApiError(405, "expected the method " + allowed, "", "method_not_allowed");
}

void HttpServer::check_access(const httplib::Request& request) const {
  if (options_.api_keys.empty()) return;
  const std::string given = bearer_of(request);
  bool is_known = false;
  for (const std::string& key : options_.api_keys) is_known |= is_equal(given, key);
  if (!is_known) {
    throw ApiError(401, given.empty() ? "expected an API key in the header Authorization: Bearer KEY"
                                      : "the API key is wrong",
                   "", "invalid_api_key");
  }
}

void HttpServer::check_body(const httplib::Request& request) const {
  const bool is_chunked = request.has_header("Transfer-Encoding");
  if (is_chunked) {
    if (request.has_header("Content-Length") || request.get_header_value("Transfer-Encoding") != "chunked") {
      throw ApiError(400, "expected either Content-Length or Transfer-Encoding: chunked");
    }
  } else {
    const std::string length = request.get_header_value("Content-Length");
    if (length.empty()) throw ApiError(411, "expected a body with Content-Length");
    const bool is_number = length.find_first_not_of("0123456789") == length.npos;
    if (!is_number || request.get_header_value_count("Content-Length") != 1) {
      throw ApiError(400, "Content-Length: expected one number");
    }
    if (length.size() > 18 || std::stoull(length) > options_.max_body_bytes) {
      throw ApiError(413, "the body: expected at most " + std::to_string(options_.max_body_bytes) +
                              " bytes, found " + length);
    }
  }
  if (!is_json(request.get_header_value("Content-Type"))) {
    throw ApiError(415, "Content-Type: expected application/json");
  }
}

/// False when the request is all right so far and its body is to be read.
bool HttpServer::handle_without_body(const httplib::Request& request, httplib::Response& response) {
  const bool leaves_body = has_body(request) || request.method == "POST";
  try {
    if (t_is_surplus) throw ApiError(503, "too many connections", "", "too_many_connections");
    if (is_draining_) throw ApiError(503, "the server is shutting down", "", "shutting_down");
    const Route& route = find_route(request, response);
    if (!route.is_open) check_access(request);
    if (request.method == "POST") {
      check_body(request);
      return false;
    }
    reply(route, request, "", response);
  } catch (...) {
    set_current_error(response);
  }
  if (leaves_body || t_is_surplus || is_draining_) {
    t_connection->close_after_reply();
    response.set_header("Connection", "close");
  }
  return true;
}

void HttpServer::handle_with_body(const httplib::Request& request, httplib::Response& response,
                                  const httplib::ContentReader& reader) {
  try {
    std::string body;
    bool is_too_large = false;
    const bool is_whole = reader([&](const char* data, std::size_t size) {
      is_too_large = body.size() + size > options_.max_body_bytes;
      if (!is_too_large) body.append(data, size);
      return !is_too_large;
    });
    if (!is_whole) {
      t_connection->close_after_reply();
      response.set_header("Connection", "close");
      if (!is_too_large) throw ApiError(400, "the body is malformed or incomplete");
      throw ApiError(413, "the body: expected at most " + std::to_string(options_.max_body_bytes) + " bytes");
    }
    reply(find_route(request, response), request, std::move(body), response);
  } catch (...) {
    set_current_error(response);
  }
}

void HttpServer::reply(const Route& route, const httplib::Request& request, std::string body,
                       httplib::Response& response) const {
  Connection& connection = *t_connection;
  set_reply(response, route.handle({.method = request.method,
                                    .path = request.path,
                                    .accept = request.get_header_value("Accept"),
                                    .body = std::move(body),
                                    .is_client_gone = [&connection] { return connection.is_gone(); },
                                    .record = &connection.record()}));
}

void HttpServer::observe(const httplib::Request& request, const httplib::Response& response) const {
  const bool is_known = std::any_of(routes_.begin(), routes_.end(),
                                    [&](const Route& route) { return route.path == request.path; });
  observer_(request.method, is_known ? request.path : "other", response.status, t_connection->record());
}

}  // namespace mixtral::server

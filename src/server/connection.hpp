// One client's socket, with limits on what it may take in memory and time.
#pragma once

#include <httplib.h>

#include <array>
#include <chrono>
#include <cstddef>

#include "server/http.hpp"

namespace mixtral::server {

struct ConnectionLimits {
  std::chrono::seconds request{60};     ///< from the first byte of a request to the last
  std::chrono::seconds write{30};       ///< that a client may leave a reply unread
  std::chrono::seconds keep_alive{60};  ///< between two requests
};

/// Reads through a buffer; cpp-httplib's own stream bounds neither the size of headers nor the time of a
/// request, and doesn't say whether the client is still there.
class Connection : public httplib::Stream {
 public:
  Connection(int socket, const ConnectionLimits& limits);
  ~Connection() override;  ///< closes the socket when what was sent has had a chance to arrive
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Waits for a request's first byte while `goes_on`. False when none comes.
  bool wait_for_request(const std::function<bool()>& goes_on);

  /// The headers have been read; at most `max_bytes` may follow, the marks between chunks included.
  void begin_body(std::size_t max_bytes) noexcept { n_left_ = max_bytes; }

  /// The client has closed its side or is unreachable.
  bool is_gone() const noexcept;

  /// No request is taken after this one.
  void close_after_reply() noexcept { is_last_ = true; }
  bool is_last() const noexcept { return is_last_; }

  Record& record() noexcept { return record_; }

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* data, std::size_t size) override;
  ssize_t write(const char* data, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  bool fill();
  void linger() noexcept;

  int socket_;
  ConnectionLimits limits_;
  Clock::time_point deadline_ = {};
  std::size_t n_left_ = 0;  // bytes of the request that will be read
  bool is_last_ = false;
  Record record_;
  std::array<char, 16384> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // of what is buffered
};

}  // namespace mixtral::server

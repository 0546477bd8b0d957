#include "server/connection.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace mixtral::server {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxHeaderBytes = 64 << 10;
constexpr milliseconds kSlice{100};     // how soon a drain is noticed
constexpr milliseconds kLinger{1000};   // for a client that is still sending when it is refused
constexpr std::size_t kMaxLingerBytes = 4 << 20;

/// What of `events` has happened within `timeout`; 0 when nothing has.
short wait_for(int socket, short events, milliseconds timeout) noexcept {
  pollfd entry{socket, events, 0};
  const int n = ::poll(&entry, 1, static_cast<int>(std::max<long long>(timeout.count(), 0)));
  return n > 0 ? entry.revents : short{0};
}

milliseconds until(Clock::time_point time) {
  return std::chrono::duration_cast<milliseconds>(time - Clock::now());
}

/// Waits until `deadline`, also when signals interrupt.
bool wait_until(int socket, short events, Clock::time_point deadline) {
  while (until(deadline).count() > 0) {
    if (wait_for(socket, events, std::min(until(deadline), kSlice)) != 0) return true;
  }
  return false;
}

}  // namespace

Connection::Connection(int socket, const ConnectionLimits& limits) : socket_(socket), limits_(limits) {}

Connection::~Connection() {
  linger();
  ::close(socket_);
}

/// Closing while the client still sends would reset the connection and take the reply with it.
void Connection::linger() noexcept {
  ::shutdown(socket_, SHUT_WR);
  const Clock::time_point deadline = Clock::now() + kLinger;
  std::size_t n_read = 0;
  while (n_read < kMaxLingerBytes && wait_until(socket_, POLLIN, deadline)) {
    const ssize_t n = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n <= 0) return;
    n_read += static_cast<std::size_t>(n);
  }
}

bool Connection::wait_for_request(const std::function<bool()>& goes_on) {
  const Clock::time_point deadline = Clock::now() + limits_.keep_alive;
  while (begin_ == end_ && wait_for(socket_, POLLIN, kSlice) == 0) {
    if (!goes_on() || Clock::now() > deadline) return false;
  }
  record_ = Record();
  deadline_ = Clock::now() + limits_.request;
  n_left_ = kMaxHeaderBytes;
  return true;
}

bool Connection::is_gone() const noexcept {
  return (wait_for(socket_, POLLRDHUP, milliseconds(0)) & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

bool Connection::is_readable() const { return begin_ < end_ || wait_until(socket_, POLLIN, deadline_); }

bool Connection::is_writable() const {
  return (wait_for(socket_, POLLOUT, milliseconds(0)) & POLLOUT) != 0 && !is_gone();
}

bool Connection::fill() {
  if (!is_readable()) return false;
  const ssize_t n = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  begin_ = 0;
  end_ = n > 0 ? static_cast<std::size_t>(n) : 0;
  return n > 0;
}

ssize_t Connection::read(char* data, std::size_t size) {
  if (begin_ == end_ && !fill()) return -1;
  const std::size_t n = std::min({size, end_ - begin_, n_left_});
  if (n == 0) return -1;
  n_left_ -= n;
  std::memcpy(data, buffer_.data() + begin_, n);
  begin_ += n;
  return static_cast<ssize_t>(n);
}

ssize_t Connection::write(const char* data, std::size_t size) {
  const Clock::time_point deadline = Clock::now() + limits_.write;
  while (wait_until(socket_, POLLOUT, deadline)) {
    const ssize_t n = ::send(socket_, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) return n;
    if (errno != EAGAIN && errno != EINTR) return -1;
  }
  return -1;
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace mixtral::server

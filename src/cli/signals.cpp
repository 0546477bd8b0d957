#include "signals.hpp"

#include <unistd.h>

#include <csignal>

#include "exit_code.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::cli {
namespace {

volatile std::sig_atomic_t g_stop_signal = 0;

extern "C" void on_stop(int signal) {
  if (g_stop_signal != 0) ::_exit(128 + signal);
  g_stop_signal = signal;
}

extern "C" void on_bus_error(int) {
  constexpr char kMessage[] =
      "mixtral: a mapped model file was cut short while in use, or its disk failed: expected the "
      "weights that were there when it was opened\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  ::_exit(kIo);
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);  // without SA_RESTART: a blocked read returns
}

}  // namespace

void install_signal_handlers() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) handle(signal, on_stop);
  handle(SIGBUS, on_bus_error);
}

int stop_signal() noexcept { return g_stop_signal; }

void clear_interrupt() noexcept {
  if (g_stop_signal == SIGINT) g_stop_signal = 0;
}

void check_interrupt() {
  if (stop_signal() != 0) throw Error(ErrorCode::cancelled, "interrupted");
}

}  // namespace mixtral::cli

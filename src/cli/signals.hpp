// Signals of the command's own process. The library installs no handlers.
#pragma once

namespace mixtral::cli {

/// From now on SIGINT, SIGTERM and SIGHUP ask the program to stop where it can do so cleanly; a
/// second one ends it at once. SIGBUS, which a weight file raises that was cut short while mapped,
/// says so and exits with kIo.
void install_signal_handlers();

/// The signal that asked to stop; 0 when none did.
int stop_signal() noexcept;

/// Forgets a SIGINT: the next one asks anew.
void clear_interrupt() noexcept;

/// Throws Error(cancelled) once a signal has asked to stop.
void check_interrupt();

}  // namespace mixtral::cli

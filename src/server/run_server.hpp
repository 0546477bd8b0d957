// A model on a socket, from the first connection to the last.
#pragma once

#include <chrono>
#include <functional>

#include "server/http_server.hpp"
#include "server/service.hpp"

namespace mixtral::server {

struct ServerOptions {
  HttpOptions http = {};
  ServiceOptions service;
  std::chrono::seconds drain{30};  ///< that running requests have to finish
};

/// Serves until `should_stop`, then drains. `on_listening` gets the port. `log` gets a line of JSON for each
/// request, by one thread at a time. Throws Error(io) when the address can't be had.
void run_server(const Model& model, const ServerOptions& options,
                const std::function<void(int port)>& on_listening,
                const std::function<bool()>& should_stop,
                const std::function<void(const std::string& line)>& log);

}  // namespace mixtral::server

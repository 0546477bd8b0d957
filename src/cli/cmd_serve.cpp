// mixtral serve: the model behind an HTTP address.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/error.hpp"
#include "options.hpp"
#include "server/run_server.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

constexpr std::size_t kMega = 1000 * 1000;

struct ServeOptions {
  ModelOptions model;
  server::HttpOptions http;
  std::string name;
  std::string key_file;
  std::size_t parallel = 8;
  std::size_t queue = 256;
  std::size_t prefix_cache_mb = 1000;
  std::size_t max_body_mb = 16;
  std::size_t timeout = 600;
  std::size_t drain = 30;
  bool no_log = false;
};

/// One key a line; empty lines and those that begin with "#" don't count.
std::vector<std::string> read_keys(const std::string& path) {
  if (path.empty()) return {};
  const std::string text = read_input(path);
  std::vector<std::string> keys;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view key = trimmed(rest.substr(0, end));
    if (!key.empty() && key.front() != '#') keys.emplace_back(key);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (keys.empty()) throw Error(ErrorCode::invalid_argument, path + ": expected a key, found none");
  return keys;
}

/// "pocket-mixtral" of "examples/models/pocket-mixtral/" or of "pocket-mixtral.mixtral".
std::string model_name(const ServeOptions& options) {
  if (!options.name.empty()) return options.name;
  std::filesystem::path path = std::filesystem::absolute(model_path(options.model.path)).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return (std::filesystem::is_directory(path) ? path.filename() : path.stem()).string();
}

server::ServerOptions server_options(const ServeOptions& options) {
  server::ServerOptions server{.http = options.http, .service = {.model_name = model_name(options)}};
  server.http.api_keys = read_keys(options.key_file);
  server.http.max_body_bytes = options.max_body_mb * kMega;
  server.service.batch.context = options.model.context();
  server.service.batch.max_sequences = options.parallel;
  server.service.batch.prefix_cache_bytes = options.prefix_cache_mb * kMega;
  server.service.max_waiting = options.queue;
  server.service.timeout = std::chrono::seconds(options.timeout);
  server.drain = std::chrono::seconds(options.drain);
  return server;
}

void note(const std::string& line) { std::fputs((line + "\n").c_str(), stderr); }

void serve(const ServeOptions& options) {
  const server::ServerOptions server = server_options(options);
  const Model model = load_model(options.model);
  server::run_server(
      model, server,
      [&](int port) {
        const std::string& host = server.http.host;
        const std::string address = host.find(':') == host.npos ? host : "[" + host + "]";
        print("http://" + address + ":" + std::to_string(port) + "\n");
      },
      [] { return stop_signal() != 0; },
      [&](const std::string& line) {
        if (!options.no_log) note(line);
      });
}

void add_limits(CLI::App& command, ServeOptions& options) {
  constexpr const char* kGroup = "Limits";
  command
      .add_option("--parallel", options.parallel, "Texts that are generated side by side (default: 8)")
      ->check(whole_number(1, 1024))
      ->group(kGroup);
  command
      .add_option("--queue", options.queue,
                  "Texts that may wait for their turn; more are refused with 429 (default: 256)")
      ->check(whole_number(0))
      ->group(kGroup);
  command
      .add_option("--max-connections", options.http.max_connections,
                  "Connections at once; more are refused with 503 (default: 256)")
      ->check(whole_number(1, 10000))
      ->group(kGroup);
  command
      .add_option("--max-body", options.max_body_mb, "Megabytes of a request (default: 16)")
      ->check(whole_number(1, 1000))
      ->group(kGroup);
  command
      .add_option("--timeout", options.timeout,
                  "Seconds that a request may take, waiting included (default: 600)")
      ->check(whole_number(1, 1000000))
      ->group(kGroup);
  command
      .add_option("--drain", options.drain,
                  "Seconds that running requests have to finish after SIGTERM or Ctrl-C (default: 30)")
      ->check(whole_number(0, 1000000))
      ->group(kGroup);
  command
      .add_option("--prefix-cache", options.prefix_cache_mb,
                  "Megabytes for what finished texts left behind: a prompt that begins as they did "
                  "goes on from there (default: 1000)")
      ->check(whole_number(0, 10000000))
      ->group(kGroup);
}

}  // namespace

void add_serve(CLI::App& app) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command =
      app.add_subcommand("serve", "Answer requests over HTTP: the OpenAI API, Azure's /score, a chat page");
  add_model_options(*command, options->model);
  add_context_option(*command, options->model, "4096, or what the model was made for");
  command->add_option("--host", options->http.host,
                      "Address to listen on (default: 127.0.0.1, this machine alone)");
  command->add_option("--port", options->http.port, "Port (default: 8080); 0: any that is free")
      ->check(whole_number(0, 65535));
  command->add_option("--api-key-file", options->key_file,
                      "Only who has one of the keys in this file, one a line, gets texts");
  command->add_option("--name", options->name, "What clients call the model (default: its file's name)");
  add_limits(*command, *options);
  command->add_flag("--no-log", options->no_log, "Don't print a line of JSON on stderr for each request");
  command->footer(
      "The address is printed on standard output when the server is ready. SIGTERM and Ctrl-C let\n"
      "running requests finish; a second one ends the program at once. docs/server.md describes the\n"
      "endpoints.\n\n"
      "Examples:\n"
      "  mixtral serve examples/models/pocket-mixtral\n"
      "  curl http://127.0.0.1:8080/v1/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"prompt\": \"Once upon a time\", \"max_tokens\": 50}'\n"
      "  mixtral serve MODEL --host 0.0.0.0 --port 5001 --api-key-file keys --parallel 16 --ctx 8192");
  command->callback([options] { serve(*options); });
}

}  // namespace mixtral::cli

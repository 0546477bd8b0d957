#include "server/run_server.hpp"

#include <array>
#include <ctime>
#include <mutex>
#include <utility>

#include "server/metrics.hpp"

namespace mixtral::server {
namespace {

using api::Json;

/// "2024-05-01T12:00:00Z".
std::string time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text;
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

/// Nothing of what the request or the reply said, except faults of the request.
std::string log_line(const std::string& method, const std::string& path, int status, const Record& record) {
  Json line = {{"time", time_text()},
               {"method", method},
               {"path", path},
               {"status", status},
               {"seconds", seconds_since(record.start)}};
  if (record.n_prompt > 0) {
    line["prompt_tokens"] = record.n_prompt;
    line["new_tokens"] = record.n_new;
    line["first_token_seconds"] = record.first_token ? Json(*record.first_token) : Json();
  }
  if (!record.note.empty()) line["error"] = status == 400 ? "bad request" : record.note;
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

void run_server(const Model& model, const ServerOptions& options,
                const std::function<void(int port)>& on_listening,
                const std::function<bool()>& should_stop,
                const std::function<void(const std::string& line)>& log) {
  Metrics metrics;
  std::mutex log_mutex;
  Service service(model, options.service);
  HttpServer* server = nullptr;
  std::vector<Route> routes = service.routes();
  routes.push_back({"GET", "/metrics", [&](const HttpRequest&) {
                      return HttpReply{.content_type = "text/plain; version=0.0.4",
                                       .body = metrics.to_text(service.stats(), server->n_connections())};
                    }});
  HttpServer http(options.http, std::move(routes),
                  [&](const std::string& method, const std::string& path, int status, const Record& record) {
                    metrics.observe(path, status, record);
                    const std::lock_guard lock(log_mutex);
                    log(log_line(method, path, status, record));
                  });
  server = &http;
  on_listening(http.bind());
  http.run(should_stop, options.drain);
}

}  // namespace mixtral::server

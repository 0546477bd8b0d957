// The endpoints: what each path does with a request.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.hpp"
#include "api/score.hpp"
#include "api/target.hpp"
#include "server/engine.hpp"
#include "server/http.hpp"

namespace mixtral::server {

struct ServiceOptions {
  std::string model_name;
  BatchOptions batch = {};
  std::size_t max_waiting = 256;
  std::chrono::seconds timeout{600};  ///< for all texts of a request
};

class Service {
 public:
  Service(const Model& model, ServiceOptions options);

  /// All routes but /metrics. They use this object.
  std::vector<Route> routes();

  BatchStats stats() const { return engine_.stats(); }

 private:
  HttpReply complete(const HttpRequest& http);
  HttpReply chat(const HttpRequest& http);
  HttpReply score(const HttpRequest& http);
  HttpReply answer(const HttpRequest& http, api::Request request);
  HttpReply stream(const HttpRequest& http, api::Request request);

  HttpReply home(const HttpRequest& http) const;
  HttpReply health() const;
  HttpReply list_models() const;
  HttpReply tokenize(const HttpRequest& http) const;
  HttpReply detokenize(const HttpRequest& http) const;
  HttpReply describe_tokenizer() const;

  /// Hands the jobs over and waits until the engine has them. `n_prompt` is for the record.
  std::unique_ptr<Run> start(const HttpRequest& http, const std::vector<api::Job>& jobs,
                             std::size_t n_prompt);
  std::vector<api::Result> run(const HttpRequest& http, const std::vector<api::Job>& jobs,
                               std::size_t n_prompt);
  void require_model(const std::string& name) const;
  api::Json model_object() const;

  const Model model_;
  const ServiceOptions options_;
  const api::Target target_;
  const std::int64_t created_;
  Engine engine_;
};

/// Built into the program: the chat page and the description of the API.
std::string_view chat_page() noexcept;
std::string_view openapi() noexcept;

}  // namespace mixtral::server

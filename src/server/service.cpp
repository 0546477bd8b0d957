#include "server/service.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "api/common_fields.hpp"
#include "api/fields.hpp"
#include "api/request.hpp"

namespace mixtral::server {
namespace {

using api::ApiError;
using api::Json;
using std::chrono::milliseconds;

constexpr milliseconds kSlice{50};  // how soon it is noticed that a client has gone

/// Bytes that aren't UTF-8, which only a model's vocabulary could bring in, become U+FFFD.
std::string to_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

HttpReply json_reply(const Json& json) { return {.body = to_text(json)}; }

std::string server_sent(std::string_view data) { return "data: " + std::string(data) + "\n\n"; }

/// The client has gone: nobody will read the answer.
ApiError gone() { return ApiError(499, "the client has closed the connection"); }

/// Takes events until the run is over or its time is up.
template <class Take>
void take_events(Run& run, const std::function<bool()>& is_gone, Clock::time_point deadline, Take&& take) {
  while (!run.is_finished()) {
    std::vector<Event> events = run.wait(kSlice);
    if (is_gone()) throw gone();
    if (Clock::now() > deadline) throw ApiError(503, "the request took too long", "", "timeout");
    if (!events.empty()) take(std::move(events));
  }
}

void count(Record& record, const std::vector<Event>& events) {
  const auto is_new = [](const Event& event) { return !event.is_of_prompt; };
  record.n_new += static_cast<std::size_t>(std::count_if(events.begin(), events.end(), is_new));
  if (record.n_new > 0 && !record.first_token) record.first_token = seconds_since(record.start);
}

std::size_t count_prompt(const std::vector<api::Job>& jobs) {
  std::size_t n = 0;
  for (const api::Job& job : jobs) n += job.n_prompt;
  return n;
}

/// Everything that a stream needs after the endpoint has returned.
struct Streaming {
  Streaming(api::Request request_, api::Envelope envelope_, const Tokenizer* tokenizer)
      : request(std::move(request_)),
        envelope(std::move(envelope_)),
        answer(request, envelope, tokenizer) {}

  api::Request request;
  api::Envelope envelope;
  api::AnswerStream answer;
  std::unique_ptr<Run> run;
};

bool send(const Write& write, const std::vector<Json>& chunks) {
  std::string text;
  for (const Json& chunk : chunks) text += server_sent(to_text(chunk));
  return text.empty() || write(text);
}

void send_events(Streaming& streaming, const Write& write, const HttpRequest& http,
                 Clock::time_point deadline) {
  take_events(*streaming.run, http.is_client_gone, deadline, [&](const std::vector<Event>& events) {
    count(*http.record, events);
    std::vector<Json> chunks;
    for (const Event& event : events) {
      auto parts = event.is_of_prompt ? streaming.answer.push_prompt(event.job, event.piece)
                                      : streaming.answer.push(event.job, event.piece);
      std::move(parts.begin(), parts.end(), std::back_inserter(chunks));
    }
    if (!send(write, chunks)) throw gone();
  });
  send(write, streaming.answer.end());
  write(server_sent("[DONE]"));
}

/// The status is sent already: an error is one more event.
void send_stream(Streaming& streaming, const Write& write, const HttpRequest& http,
                 Clock::time_point deadline) {
  try {
    send_events(streaming, write, http, deadline);
  } catch (const ApiError& error) {
    http.record->note = error.what();
    write(server_sent(to_text(error.to_json())));
  } catch (const std::exception& error) {
    http.record->note = error.what();
    write(server_sent(to_text(ApiError(500, error.what()).to_json())));
  }
  streaming.run.reset();
}

ApiError no_embeddings() {
  return ApiError(404, "this model writes texts; it isn't made for embeddings", "", "unsupported");
}

std::int64_t unix_time() { return api::make_envelope("").created; }

}  // namespace

Service::Service(const Model& model, ServiceOptions options)
    : model_(model),
      options_(std::move(options)),
      target_(api::Target::of(model, options_.batch.context.n_ctx)),
      created_(unix_time()),
      engine_(model, options_.batch, options_.max_waiting) {}

std::vector<Route> Service::routes() {
  using Http = const HttpRequest&;
  const std::string model_path = "/v1/models/" + options_.model_name;
  return {
      {"GET", "/", [this](Http http) { return home(http); }, true},
      {"GET", "/health", [this](Http) { return health(); }, true},
      {"GET", "/swagger.json", [](Http) { return HttpReply{.body = std::string(openapi())}; }, true},
      {"POST", "/score", [this](Http http) { return score(http); }},
      {"POST", "/v1/completions", [this](Http http) { return complete(http); }},
      {"POST", "/v1/chat/completions", [this](Http http) { return chat(http); }},
      {"POST", "/v1/embeddings", [](Http) -> HttpReply { throw no_embeddings(); }},
      {"GET", "/v1/models", [this](Http) { return list_models(); }},
      {"GET", model_path, [this](Http) { return json_reply(model_object()); }},
      {"POST", "/tokenize", [this](Http http) { return tokenize(http); }},
      {"POST", "/detokenize", [this](Http http) { return detokenize(http); }},
      {"GET", "/tokenizer_info", [this](Http) { return describe_tokenizer(); }},
  };
}

HttpReply Service::complete(const HttpRequest& http) {
  return answer(http, api::parse_completion(api::parse_body(http.body), target_));
}

HttpReply Service::chat(const HttpRequest& http) {
  return answer(http, api::parse_chat(api::parse_body(http.body), target_));
}

HttpReply Service::score(const HttpRequest& http) {
  const api::ScoreRequest request = api::parse_score(api::parse_body(http.body), target_);
  const std::size_t n_prompt = count_prompt(request.jobs);
  return json_reply(api::make_score_answer(request, run(http, request.jobs, n_prompt)));
}

HttpReply Service::answer(const HttpRequest& http, api::Request request) {
  require_model(request.model);
  if (request.stream) return stream(http, std::move(request));
  const api::Envelope envelope = api::make_envelope(options_.model_name);
  const auto results = run(http, request.jobs, request.n_prompt_tokens());
  return json_reply(api::make_answer(request, envelope, results, target_.tokenizer.get()));
}

HttpReply Service::stream(const HttpRequest& http, api::Request request) {
  auto streaming = std::make_shared<Streaming>(
      std::move(request), api::make_envelope(options_.model_name), target_.tokenizer.get());
  streaming->run = start(http, streaming->request.jobs, streaming->request.n_prompt_tokens());
  HttpRequest client{.method = "", .path = "", .accept = "", .body = "",
                     .is_client_gone = http.is_client_gone, .record = http.record};
  const Clock::time_point deadline = http.record->start + options_.timeout;
  return {.content_type = "text/event-stream",
          .stream = [streaming, client = std::move(client), deadline](const Write& write) {
            send_stream(*streaming, write, client, deadline);
          }};
}

std::unique_ptr<Run> Service::start(const HttpRequest& http, const std::vector<api::Job>& jobs,
                                    std::size_t n_prompt) {
  std::unique_ptr<Run> run = engine_.start(jobs);
  while (!run->wait_until_taken(kSlice)) {
    if (http.is_client_gone()) throw gone();
  }
  http.record->n_prompt = n_prompt;
  return run;
}

std::vector<api::Result> Service::run(const HttpRequest& http, const std::vector<api::Job>& jobs,
                                     std::size_t n_prompt) {
  std::vector<api::Result> results(jobs.size());
  const std::unique_ptr<Run> run = start(http, jobs, n_prompt);
  const Clock::time_point deadline = http.record->start + options_.timeout;
  take_events(*run, http.is_client_gone, deadline, [&](std::vector<Event> events) {
    count(*http.record, events);
    for (Event& event : events) {
      api::Result& result = results[event.job];
      (event.is_of_prompt ? result.prompt_pieces : result.pieces).push_back(std::move(event.piece));
    }
  });
  return results;
}

void Service::require_model(const std::string& name) const {
  if (name.empty() || name == options_.model_name) return;
  throw ApiError(404, "this server has no model of that name, but " + options_.model_name, "model",
                 "model_not_found");
}

/// Browsers get the chat page; those who ask whether the server is well get an answer.
HttpReply Service::home(const HttpRequest& http) const {
  if (http.accept.find("text/html") == std::string::npos) return json_reply("healthy");
  return {.content_type = "text/html; charset=utf-8",
          .body = std::string(chat_page()),
          .headers = {{"Content-Security-Policy",
                       "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                       "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                       "frame-ancestors 'none'"},
                      {"X-Content-Type-Options", "nosniff"}}};
}

HttpReply Service::health() const {
  const BatchStats batch = engine_.stats();
  return json_reply({{"status", "ok"}, {"running", batch.n_running}, {"waiting", batch.n_waiting}});
}

Json Service::model_object() const {
  return {{"id", options_.model_name},
          {"object", "model"},
          {"created", created_},
          {"owned_by", "mixtral"},
          {"max_model_len", target_.n_ctx}};
}

HttpReply Service::list_models() const {
  return json_reply({{"object", "list"}, {"data", Json::array({model_object()})}});
}

HttpReply Service::tokenize(const HttpRequest& http) const {
  const Json body = api::parse_body(http.body);
  const api::Fields fields(body);
  const Tokenizer& tokenizer = target_.require_tokenizer("prompt");
  const auto text = fields.string("prompt");
  if (!text) fields.fail("prompt", "a string", Json());
  std::vector<TokenId> ids = tokenizer.encode(*text);
  // lm-evaluation-harness takes the ids of control tokens from here.
  const auto control = tokenizer.find(*text);
  if (control && tokenizer.kind(*control) == TokenKind::control) ids = {*control};
  if (fields.boolean("add_special_tokens").value_or(true)) ids.insert(ids.begin(), tokenizer.bos_id());
  return json_reply({{"tokens", ids}, {"count", ids.size()}, {"max_model_len", target_.n_ctx}});
}

HttpReply Service::detokenize(const HttpRequest& http) const {
  const Json body = api::parse_body(http.body);
  const api::Fields fields(body);
  const Tokenizer& tokenizer = target_.require_tokenizer("tokens");
  const Json* tokens = fields.find("tokens");
  if (tokens == nullptr || !tokens->is_array()) fields.fail("tokens", "a list of ids", Json());
  const auto ids =
      tokens->empty() ? std::vector<TokenId>() : api::parse_ids(*tokens, "tokens", target_);
  return json_reply({{"prompt", tokenizer.decode(ids)}});
}

HttpReply Service::describe_tokenizer() const {
  if (!target_.tokenizer) throw ApiError(404, "the model has no tokenizer", "", "not_found");
  const Tokenizer& tokenizer = *target_.tokenizer;
  return json_reply({{"tokenizer_class", "LlamaTokenizer"},
                     {"bos_token", tokenizer.piece(tokenizer.bos_id())},
                     {"eos_token", tokenizer.piece(tokenizer.eos_id())},
                     {"unk_token", tokenizer.piece(tokenizer.unk_id())},
                     {"vocab_size", target_.vocab}});
}

}  // namespace mixtral::server

#include "batch_line.hpp"

#include <utility>

#include "api/fields.hpp"

namespace mixtral::cli {
namespace {

using api::ApiError;
using api::Fields;

constexpr int kNoRequest = 0;

api::Request parse_openai(const Fields& line, const api::Target& target) {
  const std::string method = line.string("method").value_or("POST");
  if (method != "POST") throw ApiError(405, "method: expected \"POST\", found \"" + method + "\"", "method");
  const auto body = line.object("body");
  if (!body) line.fail("body", "an object", Json());
  const std::string url = line.string("url").value_or("");
  if (url == "/v1/completions") return api::parse_completion(body->value(), target);
  if (url == "/v1/chat/completions") return api::parse_chat(body->value(), target);
  throw ApiError(404, "url: expected \"/v1/completions\" or \"/v1/chat/completions\", found \"" + url + "\"",
                 "url");
}

/// The parts of a result that are the same for all.
Json record(std::size_t number, const Json& custom_id) {
  return {{"id", "batch_req_" + std::to_string(number)}, {"line", number}, {"custom_id", custom_id}};
}

Json response(int status, const std::string& request_id, Json body) {
  return {{"status_code", status}, {"request_id", request_id}, {"body", std::move(body)}};
}

}  // namespace

const std::vector<api::Job>& BatchLine::jobs() const {
  if (const auto* score = std::get_if<api::ScoreRequest>(&request)) return score->jobs;
  return std::get<api::Request>(request).jobs;
}

Json custom_id_of(std::string_view text) {
  try {
    const Json line = api::parse_body(text);
    return line.value("custom_id", Json());
  } catch (const ApiError&) {
    return Json();
  }
}

BatchLine parse_line(std::string_view text, std::size_t number, const api::Target& target) {
  Json json;
  try {
    json = api::parse_body(text);
  } catch (const ApiError& error) {
    throw ApiError(kNoRequest, error.what(), "", "invalid_json_line");
  }
  const Fields fields(json);
  BatchLine line{.number = number, .custom_id = json.value("custom_id", Json())};
  if (fields.find("input_data") != nullptr) {
    line.request = api::parse_score(json, target);
  } else if (fields.find("body") != nullptr || fields.find("url") != nullptr) {
    api::Request request = parse_openai(fields, target);
    if (request.stream) throw ApiError(400, "stream: a batch has no streams", "body.stream");
    line.request = std::move(request);
  } else {
    throw ApiError(kNoRequest, "expected \"url\" and \"body\", or \"input_data\"", "", "invalid_request");
  }
  line.results.resize(line.jobs().size());
  return line;
}

Json describe(const BatchLine& line, const std::string& model, const Tokenizer* tokenizer) {
  const api::Envelope envelope = api::make_envelope(model);
  Json body;
  if (const auto* score = std::get_if<api::ScoreRequest>(&line.request)) {
    body = api::make_score_answer(*score, line.results);
  } else {
    body = api::make_answer(std::get<api::Request>(line.request), envelope, line.results, tokenizer);
  }
  Json result = record(line.number, line.custom_id);
  result["response"] = response(200, envelope.id, std::move(body));
  result["error"] = nullptr;
  return result;
}

Json describe_failure(std::size_t number, const Json& custom_id, const ApiError& error) {
  Json result = record(number, custom_id);
  const Json body = error.to_json();
  if (error.status() == kNoRequest) {
    result["response"] = nullptr;
    result["error"] = {{"code", body["error"]["code"]}, {"message", error.what()}};
  } else {
    result["response"] = response(error.status(), api::make_envelope("").id, body);
    result["error"] = nullptr;
  }
  return result;
}

}  // namespace mixtral::cli

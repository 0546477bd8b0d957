#include "api/answer.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <random>
#include <utility>

#include "api/logprobs.hpp"
#include "api/tool_calls.hpp"

namespace mixtral::api {
namespace {

using Kind = Request::Kind;

const char* name_of_finish(FinishReason reason) noexcept {
  return reason == FinishReason::length ? "length" : "stop";
}

Json usage(std::size_t n_prompt, std::size_t n_new) {
  return {{"prompt_tokens", n_prompt}, {"completion_tokens", n_new}, {"total_tokens", n_prompt + n_new}};
}

Json head(const Request& request, const Envelope& envelope, bool is_chunk) {
  const bool is_chat = request.kind == Kind::chat;
  const char* object = !is_chat ? "text_completion" : is_chunk ? "chat.completion.chunk" : "chat.completion";
  return {{"id", (is_chat ? "chatcmpl-" : "cmpl-") + envelope.id},
          {"object", object},
          {"created", envelope.created},
          {"model", envelope.model}};
}

/// Whether the pieces are tool calls: the prompt said so, or the first of them does.
bool is_call(const Request& request, TokenId first, const Tokenizer* tokenizer) {
  return request.must_call ||
         (request.has_tools && tokenizer != nullptr && tokenizer->find("[TOOL_CALLS]") == first);
}

Json describe(const std::vector<ToolCall>& calls, bool with_index) {
  Json list = Json::array();
  for (std::size_t i = 0; i < calls.size(); ++i) {
    Json call = {{"id", calls[i].id},
                 {"type", "function"},
                 {"function", {{"name", calls[i].name}, {"arguments", calls[i].arguments}}}};
    if (with_index) call["index"] = i;
    list.push_back(std::move(call));
  }
  return list;
}

/// The calls that `result` consists of, if it does.
std::optional<std::vector<ToolCall>> calls_of(const Request& request, const Result& result,
                                              const Tokenizer* tokenizer) {
  if (result.pieces.empty() || !is_call(request, result.pieces.front().id, tokenizer)) return std::nullopt;
  return parse_tool_calls(request.call_prefix + result.text());
}

Json chat_choice(const Request& request, std::size_t index, const Result& result,
                 const Tokenizer* tokenizer) {
  Json message = {{"role", "assistant"}, {"content", result.text()}, {"refusal", nullptr}};
  const auto calls = calls_of(request, result, tokenizer);
  if (calls) {
    message["content"] = nullptr;
    message["tool_calls"] = describe(*calls, false);
  }
  return {{"index", index},
          {"message", std::move(message)},
          {"logprobs", request.logprobs ? chat_logprobs(result.pieces, *tokenizer) : Json()},
          {"finish_reason", calls ? "tool_calls" : name_of_finish(result.finish())}};
}

/// Counts the text of the prompt only where it is echoed.
CompletionLogprobs begin_logprobs(const Request& request, std::size_t index, const Result& result,
                                  const Tokenizer& tokenizer) {
  CompletionLogprobs logprobs(tokenizer);
  if (request.echo.empty()) return logprobs;
  logprobs.add_first(std::get<std::vector<TokenId>>(request.jobs[index].prompt).front());
  logprobs.add(result.prompt_pieces);
  return logprobs;
}

const std::string& echo_of(const Request& request, std::size_t index) {
  static const std::string kNone;
  return request.echo.empty() ? kNone : request.echo[index / request.n_per_prompt];
}

Json completion_choice(const Request& request, std::size_t index, const Result& result,
                       const Tokenizer* tokenizer) {
  Json choice = {{"index", index},
                 {"text", echo_of(request, index) + result.text()},
                 {"logprobs", nullptr},
                 {"finish_reason", name_of_finish(result.finish())}};
  if (request.logprobs) {
    CompletionLogprobs logprobs = begin_logprobs(request, index, result, *tokenizer);
    logprobs.add(result.pieces);
    choice["logprobs"] = logprobs.to_json();
  }
  return choice;
}

}  // namespace

Envelope make_envelope(std::string model) {
  std::random_device device;
  std::array<char, 25> id;
  std::snprintf(id.data(), id.size(), "%08x%08x%08x", device(), device(), device());
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {.id = id.data(),
          .model = std::move(model),
          .created = std::chrono::duration_cast<std::chrono::seconds>(now).count()};
}

Json make_answer(const Request& request, const Envelope& envelope, std::span<const Result> results,
                 const Tokenizer* tokenizer) {
  Json answer = head(request, envelope, false);
  answer["choices"] = Json::array();
  std::size_t n_new = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    n_new += results[i].pieces.size();
    answer["choices"].push_back(request.kind == Kind::chat
                                    ? chat_choice(request, i, results[i], tokenizer)
                                    : completion_choice(request, i, results[i], tokenizer));
  }
  answer["usage"] = usage(request.n_prompt_tokens(), n_new);
  return answer;
}

AnswerStream::AnswerStream(const Request& request, const Envelope& envelope, const Tokenizer* tokenizer)
    : request_(request), envelope_(envelope), tokenizer_(tokenizer), choices_(request.jobs.size()) {}

Json AnswerStream::chunk(Json choice) const {
  Json chunk = head(request_, envelope_, true);
  chunk["choices"] = Json::array();
  chunk["choices"].push_back(std::move(choice));
  if (request_.include_usage) chunk["usage"] = nullptr;
  return chunk;
}

std::vector<Json> AnswerStream::push(std::size_t index, const Piece& piece) {
  ++n_new_;
  Choice& choice = choices_[index];
  if (request_.kind == Kind::chat) return push_chat(index, choice, piece);
  return {text_chunk(index, choice, {&piece, 1})};
}

std::vector<Json> AnswerStream::push_prompt(std::size_t index, const Piece& piece) {
  Choice& choice = choices_[index];
  choice.held.prompt_pieces.push_back(piece);
  if (!piece.finish) return {};
  return {text_chunk(index, choice, {})};
}

Json AnswerStream::text_chunk(std::size_t index, Choice& choice, std::span<const Piece> pieces) {
  std::string text;
  for (const Piece& piece : pieces) text += piece.text;
  Json logprobs;
  if (!choice.has_begun) text = echo_of(request_, index) + text;
  if (request_.logprobs) {
    CompletionLogprobs columns = choice.has_begun
                                     ? CompletionLogprobs(*tokenizer_, choice.offset)
                                     : begin_logprobs(request_, index, choice.held, *tokenizer_);
    columns.add(pieces);
    choice.offset = columns.offset();
    logprobs = columns.to_json();
  }
  choice.has_begun = true;
  choice.held = {};
  const bool is_last = pieces.empty() || pieces.back().finish;
  const FinishReason reason = pieces.empty() ? FinishReason::length
                                             : pieces.back().finish.value_or(FinishReason::length);
  return chunk({{"index", index},
                {"text", std::move(text)},
                {"logprobs", std::move(logprobs)},
                {"finish_reason", is_last ? Json(name_of_finish(reason)) : Json()}});
}

Json AnswerStream::delta(std::size_t index, Json content, std::span<const Piece> pieces,
                         const Json& finish) const {
  return chunk({{"index", index},
                {"delta", std::move(content)},
                {"logprobs", request_.logprobs && !pieces.empty() ? chat_logprobs(pieces, *tokenizer_) : Json()},
                {"finish_reason", finish}});
}

std::vector<Json> AnswerStream::push_chat(std::size_t index, Choice& choice, const Piece& piece) {
  std::vector<Json> chunks;
  if (!choice.has_begun) {
    choice.has_begun = true;
    choice.is_call = is_call(request_, piece.id, tokenizer_);
    Json role = {{"role", "assistant"}, {"content", choice.is_call ? Json() : Json("")}};
    chunks.push_back(delta(index, std::move(role), {}, nullptr));
  }
  if (choice.is_call) {
    choice.held.pieces.push_back(piece);
    if (!piece.finish) return chunks;
    for (Json& part : end_call(index, choice)) chunks.push_back(std::move(part));
    return chunks;
  }
  if (!piece.text.empty() || request_.logprobs) {
    chunks.push_back(delta(index, {{"content", piece.text}}, {&piece, 1}, nullptr));
  }
  if (piece.finish) {
    chunks.push_back(delta(index, Json::object(), {}, name_of_finish(*piece.finish)));
  }
  return chunks;
}

/// A call is sent as a whole: half of its JSON is of no use to anybody.
std::vector<Json> AnswerStream::end_call(std::size_t index, const Choice& choice) const {
  const Result& result = choice.held;
  const auto calls = calls_of(request_, result, tokenizer_);
  Json content = calls ? Json{{"tool_calls", describe(*calls, true)}} : Json{{"content", result.text()}};
  return {delta(index, std::move(content), result.pieces, nullptr),
          delta(index, Json::object(), {}, calls ? "tool_calls" : name_of_finish(result.finish()))};
}

std::vector<Json> AnswerStream::end() const {
  if (!request_.include_usage) return {};
  Json last = head(request_, envelope_, true);
  last["choices"] = Json::array();
  last["usage"] = usage(request_.n_prompt_tokens(), n_new_);
  return {last};
}

}  // namespace mixtral::api

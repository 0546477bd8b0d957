#include <limits>
#include <utility>

#include "api/common_fields.hpp"
#include "api/request.hpp"

namespace mixtral::api {
namespace {

constexpr std::size_t kMaxTopLogprobs = 20;
constexpr std::size_t kMaxSize = std::numeric_limits<std::size_t>::max();

void refuse_what_is_missing(const Fields& fields) {
  for (const char* key : {"functions", "function_call"}) {
    if (fields.find(key) != nullptr) fields.unsupported(key, "use tools and tool_choice");
  }
  if (fields.find("audio") != nullptr) fields.unsupported("audio", "this model writes text only");
  const auto format = fields.object("response_format");
  if (format && format->string("type").value_or("text") != "text") {
    format->unsupported("type", "only \"text\" is supported");
  }
}

/// The prompt of an answer that must call a tool says so already.
Job make_forced_job(const Conversation& chat, const Target& target, const std::string& call_prefix) {
  const Tokenizer& tokenizer = target.require_tokenizer("messages");
  std::vector<TokenId> ids = format_chat(tokenizer, target.chat_version, chat.messages, chat.tools);
  const auto control = tokenizer.find("[TOOL_CALLS]");
  if (!control) throw ApiError(400, "tool_choice: the model can't call tools", "tool_choice", "unsupported");
  ids.push_back(*control);
  if (!call_prefix.empty()) {
    const std::vector<TokenId> prefix = tokenizer.encode(call_prefix);
    ids.insert(ids.end(), prefix.begin(), prefix.end());
  }
  return target.make_job(std::move(ids));
}

std::optional<std::size_t> parse_max_tokens(const Fields& fields) {
  const auto modern = fields.size("max_completion_tokens", 1, kMaxSize);
  const auto legacy = fields.size("max_tokens", 1, kMaxSize);
  return modern ? modern : legacy;
}

Job parse_job(const Fields& fields, const Target& target, Request& request) {
  const Json* messages = fields.find("messages");
  if (messages == nullptr) fail_field("messages", "a list of messages", Json());
  const ToolFields tools = parse_tools(fields);
  request.has_tools = !tools.tools.empty();
  request.must_call = tools.must_call;
  if (!tools.function.empty()) {
    request.call_prefix = "[{\"name\": " + Json(tools.function).dump() + ", \"arguments\": {";
  }
  Conversation chat{parse_messages(*messages, "messages"), tools.tools};
  try {
    return tools.must_call ? make_forced_job(chat, target, request.call_prefix)
                           : target.make_job(std::move(chat));
  } catch (const Error& error) {
    throw ApiError(400, error.what(), "messages",
                   error.code() == ErrorCode::unsupported ? "unsupported" : "");
  }
}

}  // namespace

Request parse_chat(const Json& body, const Target& target) {
  const Fields fields(body);
  Request request{.kind = Request::Kind::chat, .model = fields.string("model").value_or("")};
  request.n_per_prompt = fields.size("n", 1, kMaxJobs).value_or(1);
  refuse_what_is_missing(fields);
  request.stream = fields.boolean("stream").value_or(false);
  request.include_usage = parse_include_usage(fields);
  request.logprobs = fields.boolean("logprobs").value_or(false);
  const auto n_top = fields.size("top_logprobs", 0, kMaxTopLogprobs);
  if (n_top && !request.logprobs) fields.fail("top_logprobs", "logprobs to be true", Json(*n_top));

  Job job = parse_job(fields, target, request);
  job.options.max_new_tokens =
      parse_max_tokens(fields).value_or(target.default_new_tokens(job.n_prompt, kMaxSize));
  job.options.sampling = parse_sampling(fields, target);
  job.options.stop = parse_stop(fields);
  job.options.logprobs = request.logprobs;
  job.options.top_logprobs = n_top.value_or(0);
  for (std::size_t i = 0; i < request.n_per_prompt; ++i) {
    request.jobs.push_back(job);
    request.jobs.back().options.sampling->seed += i;
  }
  return request;
}

}  // namespace mixtral::api

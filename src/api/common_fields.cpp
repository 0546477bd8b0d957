#include "api/common_fields.hpp"

#include <charconv>
#include <limits>
#include <random>
#include <system_error>

#include "core/message.hpp"
#include "core/utf8.hpp"

namespace mixtral::api {
namespace {

constexpr std::size_t kMaxStops = 64;
constexpr std::size_t kMaxStopCharacters = 256;
constexpr std::size_t kMaxSize = std::numeric_limits<std::size_t>::max();

LogitBias parse_bias(const std::string& key, const Json& value, const Target& target) {
  const std::string field = "logit_bias." + key;
  TokenId id = 0;
  const char* end = key.data() + key.size();
  const auto [stop, error] = std::from_chars(key.data(), end, id);
  if (error != std::errc() || stop != end || id < 0 || static_cast<std::size_t>(id) >= target.vocab) {
    throw ApiError(400, "logit_bias: expected token ids below " + std::to_string(target.vocab) +
                            " as keys, found " + detail::quote(std::string_view(key)),
                   "logit_bias");
  }
  if (!value.is_number() || !(value.get<double>() >= -100 && value.get<double>() <= 100)) {
    fail_field(field, "a number of -100 .. 100", value);
  }
  return {id, value.get<float>()};
}

std::vector<LogitBias> parse_logit_bias(const Fields& fields, const Target& target) {
  std::vector<LogitBias> biases;
  const auto object = fields.object("logit_bias");
  if (!object) return biases;
  for (const auto& [key, value] : object->value().items()) {
    biases.push_back(parse_bias(key, value, target));
  }
  return biases;
}

/// 0 and -1 both mean all.
std::optional<std::size_t> parse_top_k(const Fields& fields) {
  const Json* value = fields.find("top_k");
  if (value != nullptr && value->is_number_integer() && *value == -1) return 0;
  return fields.size("top_k", 0, kMaxSize);
}

std::string parse_stop_string(const Json& value) {
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
    fail_field("stop", "strings that aren't empty", value);
  }
  if (detail::count_characters(value.get_ref<const std::string&>()) > kMaxStopCharacters) {
    throw ApiError(400, "stop: expected strings of at most " + std::to_string(kMaxStopCharacters) +
                            " characters, found a longer one",
                   "stop");
  }
  return value.get<std::string>();
}

Role parse_role(const Fields& message) {
  const std::string role = message.string("role").value_or("");
  if (role == "system" || role == "developer") return Role::system;
  if (role == "user") return Role::user;
  if (role == "assistant") return Role::assistant;
  if (role == "tool") return Role::tool;
  message.fail("role", "system, user, assistant or tool", Json(role));
}

/// Text, or a list of parts that are all text.
std::string parse_content(const Fields& message) {
  const Json* content = message.find("content");
  if (content == nullptr) return "";
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) message.fail("content", "a string or a list of parts", *content);
  std::string text;
  for (std::size_t i = 0; i < content->size(); ++i) {
    const std::string name = message.name("content") + "[" + std::to_string(i) + "]";
    const Fields part = fields_of((*content)[i], name);
    if (part.string("type") != "text") part.unsupported("type", "this model reads text only");
    const auto words = part.string("text");
    if (!words) part.fail("text", "a string", Json());
    text += (text.empty() || words->empty() ? "" : "\n\n") + *words;  // as mistral-common joins them
  }
  return text;
}

ToolCall parse_call(const Json& value, const std::string& name) {
  const Fields call = fields_of(value, name);
  const auto function = call.object("function");
  if (!function) call.fail("function", "an object", Json());
  return {.id = call.string("id").value_or(""),
          .name = function->string("name").value_or(""),
          .arguments = function->string("arguments").value_or("")};
}

std::vector<ToolCall> parse_calls(const Fields& message) {
  std::vector<ToolCall> calls;
  const Json* list = message.find("tool_calls");
  if (list == nullptr) return calls;
  if (!list->is_array()) message.fail("tool_calls", "a list", *list);
  for (std::size_t i = 0; i < list->size(); ++i) {
    calls.push_back(parse_call((*list)[i], message.name("tool_calls") + "[" + std::to_string(i) + "]"));
  }
  return calls;
}

/// A tool as mistral-common writes it, its parts in that order.
Json parse_tool(const Json& value, const std::string& name) {
  const Fields tool = fields_of(value, name);
  if (tool.string("type").value_or("function") != "function") {
    tool.unsupported("type", "expected \"function\"");
  }
  const auto function = tool.object("function");
  if (!function) tool.fail("function", "an object", Json());
  const auto function_name = function->string("name");
  if (!function_name || function_name->empty()) function->fail("name", "a name", Json());
  const auto parameters = function->object("parameters");
  return {{"type", "function"},
          {"function",
           {{"name", *function_name},
            {"description", function->string("description").value_or("")},
            {"parameters", parameters ? parameters->value() : Json::object()}}}};
}

void parse_tool_choice(const Fields& fields, const Json& tools, ToolFields& result) {
  const Json* choice = fields.find("tool_choice");
  if (choice == nullptr || *choice == "auto") return;
  if (*choice == "none") {
    result.tools.clear();
  } else if (*choice == "required" || *choice == "any") {
    result.must_call = true;
  } else if (choice->is_object()) {
    const auto function = fields_of(*choice, "tool_choice").object("function");
    if (!function) fail_field("tool_choice.function", "an object", Json());
    result.function = function->string("name").value_or("");
    result.must_call = true;
    for (const Json& tool : tools) {
      if (tool["function"]["name"] == result.function) return;
    }
    function->fail("name", "the name of one of the tools", Json(result.function));
  } else {
    fail_field("tool_choice", "\"none\", \"auto\", \"required\" or a function", *choice);
  }
}

}  // namespace

SamplingOptions parse_sampling(const Fields& fields, const Target& target) {
  SamplingOptions options = target.sampling;
  const auto top_k = parse_top_k(fields);
  const auto top_p = fields.number("top_p", 0, 1);
  const auto min_p = fields.number("min_p", 0, 1);
  if (top_p == 0.0) fields.fail("top_p", "a number above 0", Json(*top_p));
  const bool filters = top_k || top_p || min_p;  // a greedy model samples when asked for one
  const double temperature = filters && options.temperature == 0 ? 1.0 : options.temperature;
  options.temperature = fields.number("temperature", 0, 100).value_or(temperature);
  options.top_k = top_k.value_or(options.top_k);
  options.top_p = top_p.value_or(options.top_p);
  options.min_p = min_p.value_or(options.min_p);
  options.presence_penalty = fields.number("presence_penalty", -2, 2).value_or(options.presence_penalty);
  options.frequency_penalty =
      fields.number("frequency_penalty", -2, 2).value_or(options.frequency_penalty);
  options.repetition_penalty =
      fields.number("repetition_penalty", 0.01, 100).value_or(options.repetition_penalty);
  options.logit_bias = parse_logit_bias(fields, target);
  const auto seed = fields.integer("seed");
  options.seed = seed ? static_cast<std::uint64_t>(*seed) : std::random_device()();
  return options;
}

std::vector<std::string> parse_stop(const Fields& fields) {
  const Json* stop = fields.find("stop");
  if (stop == nullptr) return {};
  if (stop->is_string()) return {parse_stop_string(*stop)};
  if (!stop->is_array() || stop->size() > kMaxStops) {
    fields.fail("stop", "a string or a list of at most " + std::to_string(kMaxStops), *stop);
  }
  std::vector<std::string> strings;
  for (const Json& value : *stop) strings.push_back(parse_stop_string(value));
  return strings;
}

bool parse_include_usage(const Fields& fields) {
  const auto options = fields.object("stream_options");
  return options && options->boolean("include_usage").value_or(false);
}

std::vector<ChatMessage> parse_messages(const Json& array, const std::string& name) {
  if (!array.is_array() || array.empty()) fail_field(name, "a list of messages", array);
  std::vector<ChatMessage> messages;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string which = name + "[" + std::to_string(i) + "]";
    const Fields message = fields_of(array[i], which);
    messages.push_back({.role = parse_role(message),
                        .content = parse_content(message),
                        .tool_calls = parse_calls(message),
                        .tool_call_id = message.string("tool_call_id").value_or("")});
  }
  return messages;
}

std::vector<TokenId> parse_ids(const Json& array, const std::string& name, const Target& target) {
  if (!array.is_array() || array.empty()) fail_field(name, "a list of token ids", array);
  std::vector<TokenId> ids;
  ids.reserve(array.size());
  for (const Json& value : array) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= target.vocab) {
      fail_field(name, "token ids below " + std::to_string(target.vocab), value);
    }
    ids.push_back(value.get<TokenId>());
  }
  return ids;
}

ToolFields parse_tools(const Fields& fields) {
  ToolFields result;
  const Json* list = fields.find("tools");
  if (list == nullptr) return result;
  if (!list->is_array()) fields.fail("tools", "a list", *list);
  if (list->empty()) return result;
  Json tools = Json::array();
  for (std::size_t i = 0; i < list->size(); ++i) {
    tools.push_back(parse_tool((*list)[i], "tools[" + std::to_string(i) + "]"));
  }
  result.tools = tools.dump();
  parse_tool_choice(fields, tools, result);
  return result;
}

}  // namespace mixtral::api

#include "api/tool_calls.hpp"

#include <algorithm>
#include <random>
#include <string>

#include "api/error.hpp"

namespace mixtral::api {
namespace {

constexpr std::size_t kIdSize = 9;
constexpr std::string_view kIdLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
constexpr int kMaxDepth = 64;

std::string random_id() {
  std::random_device device;
  std::uniform_int_distribution<std::size_t> letter(0, kIdLetters.size() - 1);
  std::string id;
  while (id.size() < kIdSize) id += kIdLetters[letter(device)];
  return id;
}

std::string id_of(const Json& call) {
  const auto found = call.find("id");
  if (found == call.end() || !found->is_string()) return random_id();
  const auto& id = found->get_ref<const std::string&>();
  const bool is_usable = id.size() == kIdSize && id.find_first_not_of(kIdLetters) == id.npos;
  return is_usable ? id : random_id();
}

std::optional<ToolCall> parse_call(const Json& call) {
  if (!call.is_object()) return std::nullopt;
  const auto name = call.find("name");
  const auto arguments = call.find("arguments");
  if (name == call.end() || !name->is_string() || arguments == call.end()) return std::nullopt;
  const bool is_text = arguments->is_string();
  return ToolCall{.id = id_of(call),
                  .name = name->get<std::string>(),
                  .arguments = is_text ? arguments->get<std::string>() : arguments->dump()};
}

}  // namespace

std::optional<std::vector<ToolCall>> parse_tool_calls(std::string_view text) {
  if (text.find('\0') != text.npos) return std::nullopt;
  bool is_too_deep = false;
  const Json list = Json::parse(
      text,
      [&](int depth, Json::parse_event_t, const Json&) {
        is_too_deep |= depth > kMaxDepth;
        return !is_too_deep;
      },
      false);
  if (is_too_deep || !list.is_array() || list.empty()) return std::nullopt;
  std::vector<ToolCall> calls;
  for (const Json& value : list) {
    const auto call = parse_call(value);
    if (!call) return std::nullopt;
    calls.push_back(*call);
  }
  return calls;
}

}  // namespace mixtral::api

#include "core/json.hpp"

#include <set>
#include <utility>
#include <vector>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;

[[noreturn]] void fail(std::string_view file, const std::string& message) {
  throw Error(ErrorCode::format, quote(file) + ": " + message);
}

std::string message(const std::string& file, const std::string& name, const std::string& expected,
                    const std::string& found) {
  return quote(file) + ": key " + quote(name) + ": expected " + expected + ", found " + found;
}

/// Sees the document grow; throws at the first thing that a careful writer wouldn't have written.
class Guard {
 public:
  explicit Guard(std::string_view file) : file_(file) {}

  bool operator()(int depth, json::parse_event_t event, const json& value) {
    if (depth > kMaxDepth) {
      fail(file_, "expected values nested at most " + std::to_string(kMaxDepth) + " deep, found more");
    }
    if (event == json::parse_event_t::object_start) keys_.emplace_back();
    if (event == json::parse_event_t::object_end) keys_.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!keys_.back().insert(key).second) fail(file_, "duplicate key " + quote(key));
    }
    return true;
  }

 private:
  std::string_view file_;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

}  // namespace

json parse_json_object(std::string_view text, std::string_view file) {
  if (text.size() > kMaxJsonBytes) {
    fail(file, "expected at most " + std::to_string(kMaxJsonBytes) + " bytes of JSON, found " +
                   std::to_string(text.size()));
  }
  // The JSON library would take it for the end of the text.
  if (text.find('\0') != text.npos) fail(file, "not valid JSON: it has a zero byte");
  try {
    Guard guard(file);
    json document = json::parse(text, [&](int depth, json::parse_event_t event, json& value) {
      return guard(depth, event, value);
    });
    if (!document.is_object()) {
      fail(file, "expected a JSON object, found " + std::string(document.type_name()));
    }
    return document;
  } catch (const json::parse_error& e) {
    fail(file, "not valid JSON at byte " + std::to_string(e.byte));
  } catch (const json::exception& e) {
    fail(file, "not valid JSON: " + quote(std::string_view(e.what())));
  }
}

void FileThrower::fail(const std::string& name, const std::string& expected,
                       const std::string& found) const {
  throw Error(ErrorCode::format, message(file_, name, expected, found));
}

void FileThrower::unsupported(const std::string& name, const std::string& expected,
                              const json& found) const {
  throw Error(ErrorCode::unsupported, message(file_, name, expected, found_text(found)));
}

}  // namespace mixtral::detail

#include "core/json.hpp"

#include <cmath>
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

std::string number_text(double value) { return json(value).dump(); }

std::string found_text(const json& value) {
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  if (value.is_string()) return quote(std::string_view(value.get_ref<const std::string&>()));
  return value.dump();
}

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

const json* JsonObject::find(const char* key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<bool> JsonObject::boolean(const char* key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) fail(key, "true or false", *value);
  return value->get<bool>();
}

std::optional<double> JsonObject::number(const char* key, double least, double most) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::string expected = "a number of " + number_text(least) + " .. " + number_text(most);
  if (!value->is_number()) fail(key, expected, *value);
  const double number = value->get<double>();
  if (!(number >= least && number <= most)) fail(key, expected, *value);
  return number;
}

std::optional<std::size_t> JsonObject::size(const char* key, std::size_t least,
                                            std::size_t most) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::string expected =
      "a whole number of " + std::to_string(least) + " .. " + std::to_string(most);
  if (!value->is_number_unsigned()) fail(key, expected, *value);
  const auto number = value->get<std::uint64_t>();
  if (number < least || number > most) fail(key, expected, *value);
  return number;
}

std::optional<std::string> JsonObject::string(const char* key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) fail(key, "a string", *value);
  return value->get<std::string>();
}

std::optional<JsonObject> JsonObject::object(const char* key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) fail(key, "an object", *value);
  return JsonObject(*value, file_, prefix_ + key + ".");
}

std::string JsonObject::where(const char* key) const {
  return quote(file_) + ": key " + quote(prefix_ + key) + ": ";
}

void JsonObject::fail(const char* key, const std::string& expected, const json& found) const {
  throw Error(ErrorCode::format, where(key) + "expected " + expected + ", found " + found_text(found));
}

void JsonObject::unsupported(const char* key, const std::string& expected, const json& found) const {
  throw Error(ErrorCode::unsupported,
              where(key) + "expected " + expected + ", found " + found_text(found));
}

}  // namespace mixtral::detail

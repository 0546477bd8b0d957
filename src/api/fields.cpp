#include "api/fields.hpp"

#include <utility>
#include <vector>

#include "core/message.hpp"

namespace mixtral::api {
namespace {

using detail::quote;

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxKeys = 4096;  // looking a key up takes time in their number

/// Sees the document grow; throws before it gets out of hand.
class Guard {
 public:
  bool operator()(int depth, Json::parse_event_t event) {
    if (depth > kMaxDepth) {
      throw ApiError(400, "the body: expected values nested at most " + std::to_string(kMaxDepth) +
                              " deep, found more");
    }
    if (event == Json::parse_event_t::object_start) n_keys_.push_back(0);
    if (event == Json::parse_event_t::object_end) n_keys_.pop_back();
    if (event == Json::parse_event_t::key && ++n_keys_.back() > kMaxKeys) {
      throw ApiError(400, "the body: expected at most " + std::to_string(kMaxKeys) +
                              " keys in an object, found more");
    }
    return true;
  }

 private:
  std::vector<std::size_t> n_keys_;  // of the objects that are open
};

std::string number_text(double value) { return Json(value).dump(); }

std::string found_text(const Json& value) {
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  if (value.is_string()) return quote(std::string_view(value.get_ref<const std::string&>()));
  return value.dump();
}

}  // namespace

Json parse_body(std::string_view text) {
  // The JSON library would take it for the end of the text.
  if (text.find('\0') != text.npos) throw ApiError(400, "the body is not valid JSON: it has a zero byte");
  try {
    Guard guard;
    Json body = Json::parse(
        text, [&](int depth, Json::parse_event_t event, const Json&) { return guard(depth, event); });
    if (!body.is_object()) {
      throw ApiError(400, "the body: expected a JSON object, found " + std::string(body.type_name()));
    }
    return body;
  } catch (const Json::parse_error& error) {
    throw ApiError(400, "the body is not valid JSON at byte " + std::to_string(error.byte));
  } catch (const Json::exception& error) {
    throw ApiError(400, "the body is not valid JSON: " + quote(std::string_view(error.what())));
  }
}

Fields::Fields(const Json& object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {}

const Json* Fields::find(const char* key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<bool> Fields::boolean(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) fail(key, "true or false", *value);
  return value->get<bool>();
}

std::optional<double> Fields::number(const char* key, double least, double most) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::string expected = "a number of " + number_text(least) + " .. " + number_text(most);
  if (!value->is_number()) fail(key, expected, *value);
  const double number = value->get<double>();
  if (!(number >= least && number <= most)) fail(key, expected, *value);
  return number;
}

std::optional<std::size_t> Fields::size(const char* key, std::size_t least, std::size_t most) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::string expected =
      "a whole number of " + std::to_string(least) + " .. " + std::to_string(most);
  if (!value->is_number_unsigned()) fail(key, expected, *value);
  const auto number = value->get<std::uint64_t>();
  if (number < least || number > most) fail(key, expected, *value);
  return number;
}

std::optional<std::int64_t> Fields::integer(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) fail(key, "a whole number", *value);
  return value->get<std::int64_t>();
}

std::optional<std::string> Fields::string(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) fail(key, "a string", *value);
  return value->get<std::string>();
}

std::optional<Fields> Fields::object(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) fail(key, "an object", *value);
  return Fields(*value, name(key) + ".");
}

void Fields::fail(const char* key, const std::string& expected, const Json& found) const {
  fail_field(name(key), expected, found);
}

void Fields::unsupported(const char* key, const std::string& what) const {
  throw ApiError(400, name(key) + ": " + what, name(key), "unsupported");
}

void fail_field(const std::string& field, const std::string& expected, const Json& found) {
  throw ApiError(400, field + ": expected " + expected + ", found " + found_text(found), field);
}

}  // namespace mixtral::api

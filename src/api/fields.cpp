#include "api/fields.hpp"

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

void RequestThrower::fail(const std::string& field, const std::string& expected,
                          const std::string& found) const {
  throw ApiError(400, field + ": expected " + expected + ", found " + found, field);
}

void RequestThrower::unsupported(const std::string& field, const std::string& what) const {
  throw ApiError(400, field + ": " + what, field, "unsupported");
}

Fields fields_of(const Json& value, const std::string& field) {
  if (!value.is_object()) fail_field(field, "an object", value);
  return Fields(value, {}, field + ".");
}

void fail_field(const std::string& field, const std::string& expected, const Json& found) {
  RequestThrower().fail(field, expected, detail::found_text(found));
}

}  // namespace mixtral::api

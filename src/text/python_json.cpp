#include "text/python_json.hpp"

#include <array>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace mixtral::detail {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 64;

/// The shortest digits that give `value` back; an exponent where Python writes one.
std::string number_text(double value) {
  std::array<char, 32> buffer;
  const auto scientific = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                        std::chars_format::scientific);
  std::string text(buffer.data(), scientific.ptr);
  const int exponent = std::atoi(text.c_str() + text.find('e') + 1);
  if (exponent < -4 || exponent >= 16) return text;
  const auto fixed =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  text.assign(buffer.data(), fixed.ptr);
  return text.find('.') == text.npos ? text + ".0" : text;
}

void append(std::string& out, const Json& value);

void append_array(std::string& out, const Json& array) {
  out += '[';
  for (std::size_t i = 0; i < array.size(); ++i) {
    if (i > 0) out += ", ";
    append(out, array[i]);
  }
  out += ']';
}

void append_object(std::string& out, const Json& object) {
  out += '{';
  for (auto member = object.begin(); member != object.end(); ++member) {
    if (member != object.begin()) out += ", ";
    out += python_json_string(member.key()) + ": ";
    append(out, *member);
  }
  out += '}';
}

void append(std::string& out, const Json& value) {
  if (value.is_array()) return append_array(out, value);
  if (value.is_object()) return append_object(out, value);
  if (value.is_string()) {
    out += python_json_string(value.get_ref<const std::string&>());
  } else {
    out += value.is_number_float() ? number_text(value.get<double>()) : value.dump();
  }
}

}  // namespace

std::optional<std::string> to_python_json(std::string_view text) {
  if (text.find('\0') != text.npos) return std::nullopt;  // the library takes it for the end
  bool is_too_deep = false;
  const auto guard = [&](int depth, Json::parse_event_t, const Json&) {
    is_too_deep |= depth > kMaxDepth;
    return !is_too_deep;
  };
  const Json value = Json::parse(text, guard, false);
  if (value.is_discarded() || is_too_deep) return std::nullopt;
  std::string out;
  append(out, value);
  return out;
}

std::string python_json_string(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mixtral::detail

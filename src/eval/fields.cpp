#include "eval/fields.hpp"

#include <charconv>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::eval {

void Fields::fail(const char* key, const std::string& expected) const {
  const auto found = row_.find(key);
  const std::string what =
      found == row_.end() ? "nothing" : detail::quote(found->dump(-1, ' ', false, Row::error_handler_t::replace));
  throw Error(ErrorCode::format,
              where_ + ": column \"" + key + "\": expected " + expected + ", found " + what);
}

const Row& Fields::at(const char* key, const std::string& expected) const {
  const auto found = row_.find(key);
  if (found == row_.end()) fail(key, expected);
  return *found;
}

const Row& Fields::array(const char* key, const std::string& expected) const {
  const Row& value = at(key, expected);
  if (!value.is_array()) fail(key, expected);
  return value;
}

const std::string& Fields::text(const char* key) const {
  const Row& value = at(key, "a text");
  if (!value.is_string()) fail(key, "a text");
  return value.get_ref<const std::string&>();
}

std::vector<std::string> Fields::texts(const char* key) const {
  std::vector<std::string> texts;
  for (const Row& value : array(key, "a list of texts")) {
    if (!value.is_string()) fail(key, "a list of texts");
    texts.push_back(value.get<std::string>());
  }
  return texts;
}

std::vector<std::int64_t> Fields::integers(const char* key) const {
  std::vector<std::int64_t> numbers;
  for (const Row& value : array(key, "a list of whole numbers")) {
    if (!value.is_number_integer()) fail(key, "a list of whole numbers");
    numbers.push_back(value.get<std::int64_t>());
  }
  return numbers;
}

std::int64_t Fields::integer(const char* key) const {
  const Row& value = at(key, "a whole number");
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_string()) fail(key, "a whole number");
  const auto& text = value.get_ref<const std::string&>();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) fail(key, "a whole number");
  return number;
}

Fields Fields::structure(const char* key) const {
  const Row& value = at(key, "a structure");
  if (!value.is_object()) fail(key, "a structure");
  return {value, where_};
}

}  // namespace mixtral::eval

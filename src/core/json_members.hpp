// Typed access to the members of a JSON object, whoever wrote it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/message.hpp"

namespace mixtral::detail {

/// A value for messages: "found FOUND".
template <class Json>
std::string found_text(const Json& value) {
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  if (value.is_string()) return quote(std::string_view(value.template get_ref<const std::string&>()));
  return value.dump();
}

/// An absent key and one whose value is null read as nothing. A value of another type or out of range is
/// thrown by `Thrower`, which has fail(name, expected, found) and unsupported(name, ...); names are keys
/// with the keys of the objects around them before them.
template <class Json, class Thrower>
class JsonMembers {
 public:
  /// `object` must outlive this. `prefix` is put before keys in messages, such as "rope.".
  explicit JsonMembers(const Json& object, Thrower thrower = {}, std::string prefix = "")
      : object_(object), thrower_(std::move(thrower)), prefix_(std::move(prefix)) {}

  const Json& value() const noexcept { return object_; }

  /// True when the key is there, also with null.
  bool contains(const char* key) const { return object_.contains(key); }

  /// True when the key is there with null.
  bool is_null(const char* key) const { return contains(key) && find(key) == nullptr; }

  /// The value, or nullptr for an absent key or null.
  const Json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  std::optional<bool> boolean(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean()) fail(key, "true or false", *value);
    return value->template get<bool>();
  }

  std::optional<double> number(const char* key, double least, double most) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    const std::string expected = "a number of " + Json(least).dump() + " .. " + Json(most).dump();
    if (!value->is_number()) fail(key, expected, *value);
    const double number = value->template get<double>();
    if (!(number >= least && number <= most)) fail(key, expected, *value);
    return number;
  }

  std::optional<std::size_t> size(const char* key, std::size_t least, std::size_t most) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    const std::string expected =
        "a whole number of " + std::to_string(least) + " .. " + std::to_string(most);
    if (!value->is_number_unsigned()) fail(key, expected, *value);
    const auto number = value->template get<std::uint64_t>();
    if (number < least || number > most) fail(key, expected, *value);
    return number;
  }

  std::optional<std::int64_t> integer(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number_integer()) fail(key, "a whole number", *value);
    return value->template get<std::int64_t>();
  }

  std::optional<std::string> string(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) fail(key, "a string", *value);
    return value->template get<std::string>();
  }

  std::optional<JsonMembers> object(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_object()) fail(key, "an object", *value);
    return JsonMembers(*value, thrower_, name(key) + ".");
  }

  std::string name(const char* key) const { return prefix_ + key; }

  [[noreturn]] void fail(const char* key, const std::string& expected, const Json& found) const {
    thrower_.fail(name(key), expected, found_text(found));
  }

  /// For what is valid but not done here.
  template <class... What>
  [[noreturn]] void unsupported(const char* key, const What&... what) const {
    thrower_.unsupported(name(key), what...);
  }

 private:
  const Json& object_;
  Thrower thrower_;
  std::string prefix_;
};

}  // namespace mixtral::detail

// Typed access to the fields of a request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/error.hpp"

namespace mixtral::api {

/// The JSON object that a request consists of. Throws ApiError(400) when it is anything else, is nested
/// more than 64 deep, or has an object of more than 4096 keys.
Json parse_body(std::string_view text);

/// The members of one object. An absent key and one whose value is null read as nothing; a value of
/// another type or out of range throws ApiError(400) naming the field, what was expected and found.
class Fields {
 public:
  /// `object` must outlive this. `prefix` is put before keys, such as "messages[2].".
  explicit Fields(const Json& object, std::string prefix = "");

  const Json& value() const noexcept { return object_; }

  /// The value, or nullptr for an absent key or null.
  const Json* find(const char* key) const;

  std::optional<bool> boolean(const char* key) const;
  std::optional<double> number(const char* key, double least, double most) const;
  std::optional<std::size_t> size(const char* key, std::size_t least, std::size_t most) const;
  std::optional<std::int64_t> integer(const char* key) const;
  std::optional<std::string> string(const char* key) const;
  std::optional<Fields> object(const char* key) const;

  std::string name(const char* key) const { return prefix_ + key; }

  [[noreturn]] void fail(const char* key, const std::string& expected, const Json& found) const;

  /// For what the API has but this server hasn't.
  [[noreturn]] void unsupported(const char* key, const std::string& what) const;

 private:
  const Json& object_;
  std::string prefix_;
};

/// Throws ApiError(400): "FIELD: expected EXPECTED, found FOUND".
[[noreturn]] void fail_field(const std::string& field, const std::string& expected, const Json& found);

}  // namespace mixtral::api

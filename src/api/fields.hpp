// Typed access to the fields of a request.
#pragma once

#include <string>
#include <string_view>

#include "api/error.hpp"
#include "core/json_members.hpp"

namespace mixtral::api {

/// The JSON object that a request consists of. Throws ApiError(400) when it is anything else, is nested
/// more than 64 deep, or has an object of more than 4096 keys.
Json parse_body(std::string_view text);

/// Throws ApiError(400) for a field of a request, and names it.
struct RequestThrower {
  [[noreturn]] void fail(const std::string& field, const std::string& expected,
                         const std::string& found) const;

  /// For what the API has but this server hasn't.
  [[noreturn]] void unsupported(const std::string& field, const std::string& what) const;
};

using Fields = detail::JsonMembers<Json, RequestThrower>;

/// The members of `value`, which `field` holds. Throws ApiError(400) when it is no object.
Fields fields_of(const Json& value, const std::string& field);

/// Throws ApiError(400): "FIELD: expected EXPECTED, found FOUND".
[[noreturn]] void fail_field(const std::string& field, const std::string& expected, const Json& found);

}  // namespace mixtral::api

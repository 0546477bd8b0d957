// JSON files written by strangers: bounded in depth, without duplicate keys, every type checked.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "core/json_members.hpp"

namespace mixtral::detail {

/// Larger than any configuration file or index; bounds the memory that one can take.
inline constexpr std::size_t kMaxJsonBytes = 16 << 20;

/// Parses a document whose outermost value is an object. `file` stands for it in messages.
/// Throws Error(format).
nlohmann::json parse_json_object(std::string_view text, std::string_view file);

/// Throws what is wrong with a member of a file's JSON: Error, naming the file and the key.
class FileThrower {
 public:
  FileThrower(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void fail(const std::string& name, const std::string& expected,
                         const std::string& found) const;
  [[noreturn]] void unsupported(const std::string& name, const std::string& expected,
                                const nlohmann::json& found) const;

 private:
  std::string file_;
};

using JsonObject = JsonMembers<nlohmann::json, FileThrower>;

}  // namespace mixtral::detail

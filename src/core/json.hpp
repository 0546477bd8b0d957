// JSON files written by strangers: bounded in depth, without duplicate keys, every type checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mixtral::detail {

/// Larger than any configuration file or index; bounds the memory that one can take.
inline constexpr std::size_t kMaxJsonBytes = 16 << 20;

/// Parses a document whose outermost value is an object. `file` stands for it in messages.
/// Throws Error(format).
nlohmann::json parse_json_object(std::string_view text, std::string_view file);

/// One JSON object with typed access to its members. An absent key and one whose value is null read
/// as nothing; a value of another type throws Error(format) naming the file and the key.
class JsonObject {
 public:
  /// Both must outlive this object. `prefix` is put before keys in messages, such as "rope.".
  JsonObject(const nlohmann::json& object, std::string file, std::string prefix = "")
      : object_(object), file_(std::move(file)), prefix_(std::move(prefix)) {}

  const nlohmann::json& value() const noexcept { return object_; }

  /// True when the key is there, also with null.
  bool contains(const char* key) const { return object_.contains(key); }

  /// True when the key is there with null.
  bool is_null(const char* key) const { return contains(key) && find(key) == nullptr; }

  /// The value, or nullptr for an absent key or null.
  const nlohmann::json* find(const char* key) const;

  std::optional<bool> boolean(const char* key) const;
  std::optional<double> number(const char* key, double least, double most) const;
  std::optional<std::size_t> size(const char* key, std::size_t least, std::size_t most) const;
  std::optional<std::string> string(const char* key) const;
  std::optional<JsonObject> object(const char* key) const;

  /// "FILE: key KEY: " for messages.
  std::string where(const char* key) const;

  [[noreturn]] void fail(const char* key, const std::string& expected,
                         const nlohmann::json& found) const;
  [[noreturn]] void unsupported(const char* key, const std::string& expected,
                                const nlohmann::json& found) const;

 private:
  const nlohmann::json& object_;
  std::string file_;
  std::string prefix_;
};

}  // namespace mixtral::detail

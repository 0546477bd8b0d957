// What every function of the C interface does: errors, and checks of what C can't express.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "mixtral.h"
#include "mixtral/mixtral.hpp"

namespace mixtral::capi {

// --- Errors ------------------------------------------------------------------------------------

static_assert(MIXTRAL_INVALID_ARGUMENT == static_cast<int>(ErrorCode::invalid_argument));
static_assert(MIXTRAL_IO == static_cast<int>(ErrorCode::io));
static_assert(MIXTRAL_FORMAT == static_cast<int>(ErrorCode::format));
static_assert(MIXTRAL_UNSUPPORTED == static_cast<int>(ErrorCode::unsupported));
static_assert(MIXTRAL_CAPACITY == static_cast<int>(ErrorCode::capacity));
static_assert(MIXTRAL_OUT_OF_MEMORY == static_cast<int>(ErrorCode::out_of_memory));
static_assert(MIXTRAL_CANCELLED == static_cast<int>(ErrorCode::cancelled));
static_assert(MIXTRAL_INTERNAL == static_cast<int>(ErrorCode::internal));

inline thread_local std::string error_text;
inline thread_local const char* last_error = "";

inline mixtral_status fail(ErrorCode code, const char* message) noexcept {
  try {
    error_text = message;
    last_error = error_text.c_str();
  } catch (const std::bad_alloc&) {
    last_error = "out of memory";
  }
  return static_cast<mixtral_status>(code);
}

/// Runs `function` and turns whatever it throws into a status and a message.
template <class F>
mixtral_status guard(F&& function) noexcept {
  try {
    function();
    return MIXTRAL_OK;
  } catch (const Error& error) {
    return fail(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "out of memory");
  } catch (const std::exception& error) {
    return fail(ErrorCode::internal, error.what());
  } catch (...) {
    return fail(ErrorCode::internal, "an exception that is no std::exception");
  }
}

[[noreturn]] inline void reject(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

template <class T>
T& require(T* pointer, const char* name) {
  if (pointer == nullptr) reject(std::string(name) + ": expected a pointer, found NULL");
  return *pointer;
}

// --- Arguments ---------------------------------------------------------------------------------

template <class T>
std::span<const T> array_of(const T* data, std::size_t size, const char* name) {
  if (size > 0) require(data, name);
  return {data, size};
}

inline std::string_view text_of(const char* data, std::size_t size, const char* name) {
  const std::span<const char> text = array_of(data, size, name);
  return {text.data(), text.size()};
}

/// The size of a params struct when it first was published: no caller has less.
template <class Params>
inline constexpr std::size_t kFirstSize = sizeof(Params);
template <>
inline constexpr std::size_t kFirstSize<mixtral_generate_params> =
    offsetof(mixtral_generate_params, on_prompt_token);

/// The caller's params as this version knows them: members that the caller doesn't have are zero,
/// those that only the caller has must be.
template <class Params>
Params read_params(const Params* params, const char* name) {
  Params known{};
  if (params == nullptr) return known;
  const std::size_t size = params->struct_size;
  if (size < kFirstSize<Params>) {
    reject(std::string(name) + ".struct_size: expected at least " +
           std::to_string(kFirstSize<Params>) + ", found " + std::to_string(size));
  }
  const std::size_t n_known = std::min(size, sizeof(Params));
  const auto* bytes = reinterpret_cast<const unsigned char*>(params);
  if (std::any_of(bytes + n_known, bytes + size, [](auto byte) { return byte != 0; })) {
    reject(std::string(name) + ": has members that this version of the library doesn't know");
  }
  std::memcpy(&known, params, n_known);
  return known;
}

/// Fills a struct of the caller's size.
template <class Struct>
void write_struct(Struct value, Struct* out, const char* name) {
  const std::size_t size = require(out, name).struct_size;
  if (size < sizeof(Struct)) {
    reject(std::string(name) + "->struct_size: expected at least " +
           std::to_string(sizeof(Struct)) + ", found " + std::to_string(size));
  }
  value.struct_size = out->struct_size;
  std::memcpy(out, &value, sizeof(Struct));
  std::memset(reinterpret_cast<unsigned char*>(out) + sizeof(Struct), 0, size - sizeof(Struct));
}

/// Fills a buffer of the caller's, or tells only the size when there is none.
template <class T>
void write_buffer(std::span<const T> values, T* buffer, std::size_t capacity, std::size_t& size) {
  size = values.size();
  if (buffer == nullptr && capacity == 0) return;
  require(buffer, "buffer");
  if (values.size() > capacity) {
    throw Error(ErrorCode::capacity, "buffer: expected room for " + std::to_string(values.size()) +
                                         ", found " + std::to_string(capacity));
  }
  std::copy(values.begin(), values.end(), buffer);
}

/// The enumerator that `value` stands for: 0 is the first.
template <class Enum>
Enum enum_of(std::int32_t value, Enum last, const char* name) {
  if (value < 0 || value > static_cast<std::int32_t>(last)) {
    reject(std::string(name) + ": expected 0 to " +
           std::to_string(static_cast<std::int32_t>(last)) + ", found " + std::to_string(value));
  }
  return static_cast<Enum>(value);
}

/// The same where 0 stands for none and 1 is the first.
template <class Enum>
std::optional<Enum> optional_enum_of(std::int32_t value, Enum last, const char* name) {
  const std::int32_t n_values = static_cast<std::int32_t>(last) + 1;
  if (value < 0 || value > n_values) {
    reject(std::string(name) + ": expected 0 to " + std::to_string(n_values) + ", found " +
           std::to_string(value));
  }
  if (value == 0) return std::nullopt;
  return static_cast<Enum>(value - 1);
}

template <class Enum>
constexpr std::int32_t number_from_1(Enum value) {
  return static_cast<std::int32_t>(value) + 1;
}

}  // namespace mixtral::capi

// GGUF files put together by hand, well-formed or not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mixtral::test {

/// The bytes of numbers and of strings after their lengths, one after the other.
class GgufBytes {
 public:
  template <class T>
  GgufBytes& number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufBytes& u32(std::uint32_t value) { return number(value); }
  GgufBytes& u64(std::uint64_t value) { return number(value); }
  GgufBytes& raw(std::string_view bytes) {
    text_ += bytes;
    return *this;
  }
  GgufBytes& string(std::string_view text) { return u64(text.size()).raw(text); }
  GgufBytes& zeros(std::size_t n) { return raw(std::string(n, '\0')); }
  GgufBytes& align(std::size_t alignment) { return zeros((0 - text_.size()) % alignment); }

  GgufBytes& header(std::uint64_t n_tensors, std::uint64_t n_values, std::uint32_t version = 3) {
    return raw("GGUF").u32(version).u64(n_tensors).u64(n_values);
  }
  /// A tensor of two dimensions, the faster one first.
  GgufBytes& tensor(std::string_view name, std::uint64_t cols, std::uint64_t rows, std::uint32_t type,
                    std::uint64_t offset) {
    return string(name).u32(2).u64(cols).u64(rows).u32(type).u64(offset);
  }

  const std::string& bytes() const noexcept { return text_; }

 private:
  std::string text_;
};

}  // namespace mixtral::test

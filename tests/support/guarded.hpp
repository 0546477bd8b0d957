// Arrays for kernels under test: at any alignment, poisoned, and with guards that show overruns.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace mixtral::test {

/// Bytes that a kernel reads, `offset` bytes past an aligned address. They end where the allocation
/// ends, so that the address sanitizer sees the first byte read too many.
class Input {
 public:
  template <class T>
  explicit Input(std::span<const T> values, std::size_t offset = 0)
      : memory_(offset + values.size_bytes()), offset_(offset) {
    if (!values.empty()) std::memcpy(memory_.data() + offset, values.data(), values.size_bytes());
  }
  template <class T>
  explicit Input(const std::vector<T>& values, std::size_t offset = 0)
      : Input(std::span<const T>(values), offset) {}

  const std::byte* data() const noexcept { return memory_.data() + offset_; }
  const float* floats() const noexcept { return reinterpret_cast<const float*>(data()); }

 private:
  std::vector<std::byte> memory_;
  std::size_t offset_;
};

/// `size` elements that a kernel writes, between guards; at first every one is a NaN. `offset` is in
/// elements.
template <class T>
class Output {
 public:
  explicit Output(std::size_t size, std::size_t offset = 0)
      : memory_((kGuard + offset + size) * sizeof(T) + kGuardBytes, kPoison),
        begin_((kGuard + offset) * sizeof(T)),
        size_(size) {}
  explicit Output(std::span<const T> values, std::size_t offset = 0) : Output(values.size(), offset) {
    std::copy(values.begin(), values.end(), data());
  }

  T* data() noexcept { return reinterpret_cast<T*>(memory_.data() + begin_); }
  std::byte* bytes() noexcept { return memory_.data() + begin_; }
  std::span<const T> values() noexcept { return {data(), size_}; }

  /// False when something was written outside the elements.
  bool is_intact() const noexcept {
    const auto poisoned = [](std::byte b) { return b == kPoison; };
    const auto begin = memory_.begin() + static_cast<std::ptrdiff_t>(begin_);
    const auto end = begin + static_cast<std::ptrdiff_t>(size_ * sizeof(T));
    return std::all_of(memory_.begin(), begin, poisoned) &&
           std::all_of(end, memory_.end(), poisoned);
  }

 private:
  static constexpr std::byte kPoison{0xff};  // all ones is a NaN in f32, f16 and bf16
  static constexpr std::size_t kGuardBytes = 256;
  static constexpr std::size_t kGuard = kGuardBytes / sizeof(T);

  std::vector<std::byte> memory_;
  std::size_t begin_;
  std::size_t size_;
};

}  // namespace mixtral::test

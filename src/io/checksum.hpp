// Checksums of files: 64-bit XXH3, https://xxhash.com.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace mixtral::detail {

std::uint64_t checksum_of(std::span<const std::byte> bytes) noexcept;

/// The checksum of bytes that come in pieces.
class Checksum {
 public:
  Checksum();
  ~Checksum();

  void update(std::span<const std::byte> bytes) noexcept;

  /// That of all bytes since the last call, which it forgets.
  std::uint64_t take() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mixtral::detail

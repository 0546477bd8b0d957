#include "eval/parquet_levels.hpp"

#include <algorithm>
#include <string>

#include "mixtral/core/error.hpp"

namespace mixtral::eval {
namespace {

class LevelDecoder {
 public:
  LevelDecoder(std::span<const std::byte> bytes, unsigned bit_width, std::string_view name)
      : bytes_(bytes), bit_width_(bit_width), name_(name) {}

  std::vector<std::uint32_t> decode(std::size_t count) {
    std::vector<std::uint32_t> numbers;
    numbers.reserve(count);
    while (numbers.size() < count) {
      const std::uint64_t header = varint();
      const std::size_t n_left = count - numbers.size();
      if ((header & 1) == 0) {
        append_run(numbers, std::min<std::uint64_t>(header >> 1, n_left));
      } else {
        append_packed(numbers, header >> 1, n_left);
      }
    }
    return numbers;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorCode::format, std::string(name_) + ": expected more levels or indices");
  }

  std::span<const std::byte> take(std::size_t size) {
    if (size > bytes_.size()) fail();
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const auto next = std::to_integer<std::uint64_t>(take(1)[0]);
      value |= (next & 0x7F) << shift;
      if (next < 0x80) return value;
    }
    fail();
  }

  void append_run(std::vector<std::uint32_t>& numbers, std::size_t count) {
    std::uint32_t value = 0;
    unsigned shift = 0;
    for (const std::byte byte : take((bit_width_ + 7) / 8)) {
      value |= std::to_integer<std::uint32_t>(byte) << shift;
      shift += 8;
    }
    numbers.insert(numbers.end(), count, value);
  }

  /// Groups of eight numbers, least significant bits first; the last group may be padded.
  void append_packed(std::vector<std::uint32_t>& numbers, std::uint64_t n_groups,
                     std::size_t n_left) {
    if (bit_width_ > 0 && n_groups > bytes_.size() / bit_width_) fail();
    const auto packed = take(static_cast<std::size_t>(n_groups) * bit_width_);
    const std::size_t count = std::min<std::uint64_t>(n_groups * 8, n_left);
    const std::uint64_t mask = (std::uint64_t{1} << bit_width_) - 1;
    std::uint64_t bits = 0;
    unsigned n_bits = 0;
    std::size_t next = 0;
    for (std::size_t i = 0; i < count; ++i) {
      for (; n_bits < bit_width_; n_bits += 8) {
        bits |= std::to_integer<std::uint64_t>(packed[next++]) << n_bits;
      }
      numbers.push_back(static_cast<std::uint32_t>(bits & mask));
      bits >>= bit_width_;
      n_bits -= bit_width_;
    }
  }

  std::span<const std::byte> bytes_;
  unsigned bit_width_;
  std::string_view name_;
};

}  // namespace

std::vector<std::uint32_t> decode_levels(std::span<const std::byte> bytes, unsigned bit_width,
                                         std::size_t count, std::string_view name) {
  return LevelDecoder(bytes, bit_width, name).decode(count);
}

}  // namespace mixtral::eval

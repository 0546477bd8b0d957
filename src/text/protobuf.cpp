#include "text/protobuf.hpp"

#include <bit>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

void write_varint(std::string& message, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) message += static_cast<char>(value | 0x80);
  message += static_cast<char>(value);
}

}  // namespace

bool ProtobufReader::next() {
  if (rest_.empty()) return false;
  const std::uint64_t tag = read_varint();
  constexpr std::uint64_t kMaxFieldNumber = (1u << 29) - 1;
  if (tag >> 3 == 0 || tag >> 3 > kMaxFieldNumber) fail("bad field number");
  number_ = static_cast<std::uint32_t>(tag >> 3);
  type_ = static_cast<WireType>(tag & 7);
  switch (type_) {
    case WireType::varint:
      varint_ = read_varint();
      break;
    case WireType::fixed64:
      bytes_ = read_bytes(8);
      break;
    case WireType::bytes:
      bytes_ = read_bytes(read_varint());
      break;
    case WireType::fixed32:
      bytes_ = read_bytes(4);
      break;
    default:
      fail("field " + std::to_string(number_) + " has wire type " + std::to_string(tag & 7));
  }
  return true;
}

std::uint64_t ProtobufReader::varint() const {
  expect(WireType::varint);
  return varint_;
}

std::string_view ProtobufReader::bytes() const {
  expect(WireType::bytes);
  return bytes_;
}

float ProtobufReader::float32() const {
  expect(WireType::fixed32);
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    bits |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes_[i])) << (8 * i);
  }
  return std::bit_cast<float>(bits);
}

std::uint64_t ProtobufReader::read_varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(read_bytes(1)[0]);
    const std::uint64_t bits = byte & 0x7Fu;
    if (shift == 63 && bits > 1) break;
    value |= bits << shift;
    if (byte < 0x80) return value;
  }
  fail("a variable-length integer exceeds 64 bits");
}

std::string_view ProtobufReader::read_bytes(std::uint64_t count) {
  if (count > rest_.size()) {
    fail("truncated: a field needs " + std::to_string(count) + " bytes, " +
         std::to_string(rest_.size()) + " are left");
  }
  const std::string_view bytes = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return bytes;
}

void ProtobufReader::expect(WireType type) const {
  if (type_ != type) fail("field " + std::to_string(number_) + " has the wrong type");
}

void ProtobufReader::fail(const std::string& fault) const {
  throw Error(ErrorCode::format, quote(name_) + ": not a SentencePiece model: " + fault);
}

void write_varint_field(std::string& message, std::uint32_t number, std::uint64_t value) {
  write_varint(message, std::uint64_t{number} << 3);
  write_varint(message, value);
}

void write_bytes_field(std::string& message, std::uint32_t number, std::string_view value) {
  write_varint(message, std::uint64_t{number} << 3 | 2);
  write_varint(message, value.size());
  message += value;
}

void write_float_field(std::string& message, std::uint32_t number, float value) {
  write_varint(message, std::uint64_t{number} << 3 | 5);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (unsigned shift = 0; shift < 32; shift += 8) message += static_cast<char>(bits >> shift);
}

}  // namespace mixtral::detail

#include "eval/thrift.hpp"

#include "mixtral/core/error.hpp"

namespace mixtral::eval {
namespace {

constexpr int kMaxDepth = 16;

ThriftType type_of(std::uint8_t code) { return static_cast<ThriftType>(code & 0xF); }

}  // namespace

void ThriftReader::fail(const std::string& message) const {
  throw Error(ErrorCode::format,
              std::string(name_) + ": " + message + " at byte " + std::to_string(position_));
}

void ThriftReader::expect(ThriftType found, ThriftType expected) const {
  if (found == expected) return;
  fail("expected a value of Thrift type " + std::to_string(static_cast<int>(expected)) +
       ", found " + std::to_string(static_cast<int>(found)));
}

std::span<const std::byte> ThriftReader::take(std::size_t size) {
  if (size > bytes_.size() - position_) fail("expected more bytes");
  const auto taken = bytes_.subspan(position_, size);
  position_ += size;
  return taken;
}

std::uint8_t ThriftReader::byte() { return std::to_integer<std::uint8_t>(take(1)[0]); }

std::uint64_t ThriftReader::varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const std::uint8_t next = byte();
    value |= static_cast<std::uint64_t>(next & 0x7F) << shift;
    if (next < 0x80) return value;
  }
  fail("expected an integer of at most 64 bits");
}

std::int64_t ThriftReader::zigzag() {
  const std::uint64_t value = varint();
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

ThriftType ThriftReader::field_header(std::int64_t& id) {
  const std::uint8_t header = byte();
  if (header == 0) return ThriftType::stop;
  const int delta = header >> 4;
  id = delta == 0 ? zigzag() : static_cast<std::int16_t>(id) + delta;
  return type_of(header);
}

ThriftReader::ListHeader ThriftReader::list_header() {
  const std::uint8_t header = byte();
  std::uint64_t size = header >> 4;
  if (size == 15) size = varint();
  // An element takes a byte at least.
  if (size > bytes_.size() - position_) fail("expected more bytes for a list");
  return {type_of(header), static_cast<std::size_t>(size)};
}

std::int64_t ThriftReader::integer(ThriftType type) {
  if (type == ThriftType::i8) return static_cast<std::int8_t>(byte());
  if (type != ThriftType::i16 && type != ThriftType::i64) expect(type, ThriftType::i32);
  return zigzag();
}

std::int64_t ThriftReader::integer(ThriftType type, std::int64_t least, std::int64_t most) {
  const std::int64_t value = integer(type);
  if (value < least || value > most) {
    fail("expected an integer of " + std::to_string(least) + " .. " + std::to_string(most) +
         ", found " + std::to_string(value));
  }
  return value;
}

std::size_t ThriftReader::size(ThriftType type) {
  return static_cast<std::size_t>(integer(type, 0, INT64_MAX));
}

bool ThriftReader::boolean(ThriftType type) const {
  if (type != ThriftType::bool_true) expect(type, ThriftType::bool_false);
  return type == ThriftType::bool_true;
}

std::string ThriftReader::text(ThriftType type) {
  expect(type, ThriftType::binary);
  const auto bytes = take(varint());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void ThriftReader::skip(ThriftType type, int depth) {
  if (depth > kMaxDepth) fail("expected values nested less deep");
  const auto skip_field = [&](std::int64_t, ThriftType field) {
    skip(field, depth + 1);
    return true;
  };
  const auto skip_element = [&](ThriftType element) {
    // Elements that are truth values take a byte each; such fields take none.
    if (element == ThriftType::bool_true || element == ThriftType::bool_false) {
      byte();
    } else {
      skip(element, depth + 1);
    }
  };
  switch (type) {
    case ThriftType::bool_true:
    case ThriftType::bool_false:
      return;
    case ThriftType::i8:
      byte();
      return;
    case ThriftType::i16:
    case ThriftType::i32:
    case ThriftType::i64:
      varint();
      return;
    case ThriftType::real:
      take(8);
      return;
    case ThriftType::binary:
      take(varint());
      return;
    case ThriftType::set:
    case ThriftType::list:
      return list(ThriftType::list, skip_element);
    case ThriftType::structure:
      return fields(skip_field);
    case ThriftType::map: {
      const std::uint64_t size = varint();
      if (size == 0) return;
      const std::uint8_t types = byte();
      for (std::uint64_t i = 0; i < size; ++i) {
        skip_element(type_of(types >> 4));
        skip_element(type_of(types));
      }
      return;
    }
    case ThriftType::stop:
      break;
  }
  fail("expected a known Thrift type, found " + std::to_string(static_cast<int>(type)));
}

}  // namespace mixtral::eval

// The Protocol Buffers wire format, as far as a SentencePiece model needs it.
// https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mixtral::detail {

/// Walks over the fields of one message. Every fault of the bytes is an Error(format) that names
/// `name`.
class ProtobufReader {
 public:
  ProtobufReader(std::string_view bytes, std::string_view name) : rest_(bytes), name_(name) {}

  /// Moves to the next field; false at the end of the message.
  bool next();

  std::uint32_t number() const noexcept { return number_; }

  /// The value of the current field. Throws Error(format) when its wire type is another one.
  std::uint64_t varint() const;
  std::string_view bytes() const;
  float float32() const;

 private:
  enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

  std::uint64_t read_varint();
  std::string_view read_bytes(std::uint64_t count);
  void expect(WireType type) const;
  [[noreturn]] void fail(const std::string& fault) const;

  std::string_view rest_;
  std::string_view name_;
  std::uint32_t number_ = 0;
  WireType type_ = WireType::varint;
  std::uint64_t varint_ = 0;
  std::string_view bytes_;  // of every type but varint
};

/// Append one field to a message.
void write_varint_field(std::string& message, std::uint32_t number, std::uint64_t value);
void write_bytes_field(std::string& message, std::uint32_t number, std::string_view value);
void write_float_field(std::string& message, std::uint32_t number, float value);

}  // namespace mixtral::detail

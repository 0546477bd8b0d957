// Values in Thrift's compact protocol, in which Parquet keeps what it says about itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mixtral::eval {

enum class ThriftType : std::uint8_t {
  stop = 0,
  bool_true = 1,
  bool_false = 2,
  i8 = 3,
  i16 = 4,
  i32 = 5,
  i64 = 6,
  real = 7,
  binary = 8,
  list = 9,
  set = 10,
  map = 11,
  structure = 12,
};

/// Reads one value after another. Everything throws Error(format), which begins with `name`, when
/// the bytes end too early or hold a value of another type.
class ThriftReader {
 public:
  /// `bytes` must outlive the reader.
  ThriftReader(std::span<const std::byte> bytes, std::string_view name)
      : bytes_(bytes), name_(name) {}

  /// Bytes read so far.
  std::size_t position() const noexcept { return position_; }

  /// Calls on_field(id, type) for each field; it reads the value and returns true, or returns false
  /// to have it skipped.
  template <class OnField>
  void fields(OnField&& on_field) {
    std::int64_t id = 0;
    for (ThriftType type; (type = field_header(id)) != ThriftType::stop;) {
      if (!on_field(id, type)) skip(type, 0);
    }
  }

  template <class OnField>
  void structure(ThriftType type, OnField&& on_field) {
    expect(type, ThriftType::structure);
    fields(std::forward<OnField>(on_field));
  }

  /// Calls on_element(type) for each element; it must read it.
  template <class OnElement>
  void list(ThriftType type, OnElement&& on_element) {
    expect(type, ThriftType::list);
    const auto [element, size] = list_header();
    for (std::size_t i = 0; i < size; ++i) on_element(element);
  }

  std::int64_t integer(ThriftType type);
  std::int64_t integer(ThriftType type, std::int64_t least, std::int64_t most);
  std::size_t size(ThriftType type);  ///< an integer >= 0
  bool boolean(ThriftType type) const;
  std::string text(ThriftType type);

 private:
  struct ListHeader {
    ThriftType element;
    std::size_t size;
  };

  [[noreturn]] void fail(const std::string& message) const;
  void expect(ThriftType found, ThriftType expected) const;
  std::uint8_t byte();
  std::uint64_t varint();
  std::int64_t zigzag();
  std::span<const std::byte> take(std::size_t size);
  ThriftType field_header(std::int64_t& id);
  ListHeader list_header();
  void skip(ThriftType type, int depth);

  std::span<const std::byte> bytes_;
  std::string_view name_;
  std::size_t position_ = 0;
};

}  // namespace mixtral::eval

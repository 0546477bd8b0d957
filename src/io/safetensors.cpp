#include "mixtral/io/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

static_assert(std::endian::native == std::endian::little, "safetensors is read in place");

namespace mixtral {
namespace {

using detail::quote;
using detail::shape_text;

constexpr std::size_t kPrefixBytes = 8;
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's limit
constexpr std::size_t kMaxRank = 64;

struct DTypeName {
  std::string_view name;
  std::size_t bits;
};

constexpr std::array<DTypeName, 22> kDTypes = {{
    {"BOOL", 8},    {"F4", 4},       {"F6_E2M3", 6},     {"F6_E3M2", 6},     {"U8", 8},
    {"I8", 8},      {"F8_E5M2", 8},  {"F8_E4M3", 8},     {"F8_E8M0", 8},     {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16}, {"U16", 16},        {"F16", 16},        {"BF16", 16},
    {"I32", 32},    {"U32", 32},     {"F32", 32},        {"C64", 64},        {"F64", 64},
    {"I64", 64},    {"U64", 64},
}};

const DTypeName* find_dtype(std::string_view name) noexcept {
  const auto found = std::find_if(kDTypes.begin(), kDTypes.end(),
                                  [name](const DTypeName& dtype) { return dtype.name == name; });
  return found == kDTypes.end() ? nullptr : &*found;
}

/// Builds the header from JSON events. Nothing nests deeper than a tensor's arrays, so the grammar
/// is a handful of states, and a document that strays from it is rejected at once.
class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderHandler(std::string_view file, SafetensorsHeader& header) : file_(file), header_(header) {}

  bool start_object(std::size_t) override {
    if (state_ == State::before) return enter(State::top);
    if (state_ == State::tensor_value) {
      present_ = {};
      return enter(State::tensor);
    }
    if (state_ == State::metadata_value) return enter(State::metadata);
    return unexpected("an object");
  }

  bool end_object() override {
    if (state_ == State::top) return enter(State::after);
    if (state_ == State::tensor) finish_tensor();
    return enter(State::top);
  }

  bool key(string_t& key) override {
    switch (state_) {
      case State::top:
        return top_key(key);
      case State::metadata:
        metadata_key_ = std::move(key);
        return true;
      default:
        return tensor_key(key);
    }
  }

  bool string(string_t& value) override {
    if (state_ == State::metadata) {
      const auto [entry, is_new] = header_.metadata.emplace(metadata_key_, std::move(value));
      if (!is_new) fail("__metadata__: duplicate key " + quote(metadata_key_));
      return true;
    }
    if (state_ != State::dtype) return unexpected("a string");
    const DTypeName* dtype = find_dtype(value);
    if (dtype == nullptr) fail_tensor("unknown dtype " + quote(value));
    tensor().dtype = dtype->name;
    return enter(State::tensor);
  }

  bool start_array(std::size_t) override {
    if (state_ == State::shape) return enter(State::in_shape);
    if (state_ == State::offsets) return enter(State::in_offsets);
    return unexpected("an array");
  }

  bool end_array() override {
    if (state_ == State::in_offsets && n_offsets_ != 2) {
      fail_tensor("data_offsets: expected 2 numbers, found " + std::to_string(n_offsets_));
    }
    return enter(State::tensor);
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::in_shape) {
      if (tensor().shape.size() == kMaxRank) {
        fail_tensor("expected at most " + std::to_string(kMaxRank) + " dimensions, found more");
      }
      tensor().shape.push_back(value);
      return true;
    }
    if (state_ != State::in_offsets) return unexpected("a number");
    if (n_offsets_ == 2) fail_tensor("data_offsets: expected 2 numbers, found more");
    offsets_[n_offsets_++] = value;
    return true;
  }

  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a fraction or a number above 2^64");
  }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    fail("the header is not valid JSON at its byte " + std::to_string(position));
  }

 private:
  enum class State {
    before,          // nothing read yet
    top,             // in the outermost object
    metadata_value,  // after the key __metadata__
    metadata,        // in its object
    tensor_value,    // after a tensor's name
    tensor,          // in its object
    dtype,           // after the key dtype, shape or data_offsets
    shape,
    offsets,
    in_shape,  // in an array
    in_offsets,
    after,
  };

  struct Present {
    bool dtype = false, shape = false, offsets = false;
  };

  bool enter(State state) {
    state_ = state;
    return true;
  }

  bool top_key(string_t& key) {
    if (key == "__metadata__") {
      if (std::exchange(has_metadata_, true)) fail("duplicate key " + quote(key));
      return enter(State::metadata_value);
    }
    header_.tensors.emplace_back().name = std::move(key);
    return enter(State::tensor_value);
  }

  bool tensor_key(const string_t& key) {
    if (key == "dtype") return enter_once(State::dtype, present_.dtype, key);
    if (key == "shape") return enter_once(State::shape, present_.shape, key);
    if (key == "data_offsets") {
      n_offsets_ = 0;
      return enter_once(State::offsets, present_.offsets, key);
    }
    fail_tensor("expected dtype, shape and data_offsets, found key " + quote(key));
  }

  bool enter_once(State state, bool& present, const string_t& key) {
    if (std::exchange(present, true)) fail_tensor("duplicate key " + quote(key));
    return enter(state);
  }

  void finish_tensor() {
    if (!present_.dtype || !present_.shape || !present_.offsets) {
      fail_tensor("expected dtype, shape and data_offsets, found fewer");
    }
    if (offsets_[1] < offsets_[0]) {
      fail_tensor("data_offsets: the end " + std::to_string(offsets_[1]) + " is before the begin " +
                  std::to_string(offsets_[0]));
    }
    tensor().offset = offsets_[0];  // relative to the data for now
    tensor().bytes = offsets_[1] - offsets_[0];
  }

  SafetensorsEntry& tensor() { return header_.tensors.back(); }

  bool unexpected(const std::string& found) {
    switch (state_) {
      case State::before:
        fail("expected the header to be an object, found " + found);
      case State::metadata_value:
        fail("__metadata__: expected an object, found " + found);
      case State::metadata:
        fail("__metadata__: expected strings alone, found " + found + " for key " +
             quote(metadata_key_));
      case State::dtype:
        fail_tensor("dtype: expected a string, found " + found);
      case State::shape:
      case State::in_shape:
        fail_tensor("shape: expected an array of sizes, found " + found);
      case State::offsets:
      case State::in_offsets:
        fail_tensor("data_offsets: expected an array of two offsets, found " + found);
      default:
        fail_tensor("expected an object, found " + found);
    }
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorCode::format, quote(file_) + ": " + message);
  }
  [[noreturn]] void fail_tensor(const std::string& message) {
    fail("tensor " + quote(tensor().name) + ": " + message);
  }

  std::string_view file_;
  SafetensorsHeader& header_;
  State state_ = State::before;
  bool has_metadata_ = false;
  std::string metadata_key_;
  Present present_;
  std::array<std::uint64_t, 2> offsets_{};
  std::size_t n_offsets_ = 0;
};

void check_unique_names(const std::vector<SafetensorsEntry>& tensors, std::string_view file) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const SafetensorsEntry& entry : tensors) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) {
    throw Error(ErrorCode::format, quote(file) + ": duplicate tensor name " + quote(*twice));
  }
}

/// Checks that the tensors fill exactly `data_bytes`, sorts them, and makes their offsets absolute.
void place_tensors(std::vector<SafetensorsEntry>& tensors, std::size_t data_begin,
                   std::size_t data_bytes, std::string_view file) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  std::size_t expected = 0;
  for (SafetensorsEntry& entry : tensors) {
    const auto fail = [&](const std::string& message) {
      throw Error(ErrorCode::format,
                  quote(file) + ": tensor " + quote(entry.name) + ": " + message);
    };
    if (entry.offset != expected) {
      fail(std::string(entry.offset < expected ? "overlaps the one before it"
                                               : "leaves a hole before it") +
           ": expected it to begin at byte " + std::to_string(expected) + " of the data, found " +
           std::to_string(entry.offset));
    }
    const auto needed = safetensors_bytes(entry.dtype, entry.shape);
    if (needed != entry.bytes) {
      fail("shape " + shape_text(entry.shape) + " of " + std::string(entry.dtype) + " needs " +
           (needed ? std::to_string(*needed) + " bytes" : "a number of bytes that can't be") +
           ", found " + std::to_string(entry.bytes));
    }
    if (entry.bytes > data_bytes - expected) {
      fail("ends at byte " + std::to_string(entry.offset) + " + " + std::to_string(entry.bytes) +
           " of the data, but the file has only " + std::to_string(data_bytes));
    }
    expected += entry.bytes;
    entry.offset += data_begin;
  }
  if (expected != data_bytes) {
    throw Error(ErrorCode::format, quote(file) + ": expected " + std::to_string(expected) +
                                       " bytes of data after the header, found " +
                                       std::to_string(data_bytes));
  }
}

/// The JSON text of the header.
std::string_view header_text(std::span<const std::byte> bytes, std::size_t file_size,
                             std::string_view file) {
  const auto fail = [&](const std::string& message) {
    throw Error(ErrorCode::format, quote(file) + ": " + message);
  };
  if (file_size < kPrefixBytes || bytes.size() < kPrefixBytes) {
    fail("not a safetensors file: expected at least 8 bytes, found " + std::to_string(file_size));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kPrefixBytes);
  if (length > kMaxHeaderBytes) {
    fail("not a safetensors file: expected a header of at most " +
         std::to_string(kMaxHeaderBytes) + " bytes, found a length of " + std::to_string(length));
  }
  if (length > file_size - kPrefixBytes || length > bytes.size() - kPrefixBytes) {
    fail("the file is cut off: expected a header of " + std::to_string(length) + " bytes, found " +
         std::to_string(std::min(file_size, bytes.size()) - kPrefixBytes));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kPrefixBytes, length);
  if (text.empty() || text[0] != '{') fail("not a safetensors file: the header is no JSON object");
  // The JSON library would take it for the end of the text.
  if (text.find('\0') != text.npos) fail("the header is not valid JSON: it has a zero byte");
  return text;
}

}  // namespace

std::optional<std::size_t> safetensors_bytes(std::string_view dtype,
                                             std::span<const std::size_t> shape) noexcept {
  const DTypeName* found = find_dtype(dtype);
  if (found == nullptr) return std::nullopt;
  std::size_t bits = found->bits;
  for (const std::size_t size : shape) {
    if (__builtin_mul_overflow(bits, size, &bits)) return std::nullopt;
  }
  return bits % 8 == 0 ? std::optional(bits / 8) : std::nullopt;
}

std::optional<DType> to_dtype(std::string_view safetensors_dtype) noexcept {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    if (safetensors_dtype == safetensors_name_of(dtype)) return dtype;
  }
  return std::nullopt;
}

std::string_view safetensors_name_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    default:
      return "?";
  }
}

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> bytes, std::size_t file_size,
                                           std::string_view name) {
  const std::string_view text = header_text(bytes, file_size, name);
  SafetensorsHeader header;
  HeaderHandler handler(name, header);
  nlohmann::json::sax_parse(text, &handler);
  check_unique_names(header.tensors, name);
  const std::size_t data_begin = kPrefixBytes + text.size();
  place_tensors(header.tensors, data_begin, file_size - data_begin, name);
  return header;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(path),
      header_(parse_safetensors_header(file_.bytes(), file_.bytes().size(), path.native())) {}

}  // namespace mixtral

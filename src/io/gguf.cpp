#include "io/gguf.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <unordered_set>
#include <utility>

#include "core/checked.hpp"
#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

constexpr std::size_t kMaxDimensions = 4;
constexpr const char* kAlignmentKey = "general.alignment";

constexpr GgufTensorType kTensorTypes[] = {
    {0, "F32", {1, 4}, DType::f32},
    {1, "F16", {1, 2}, DType::f16},
    {2, "Q4_0", {32, 18}, DType::q4_0},
    {3, "Q4_1", {32, 20}, DType::q4_1},
    {6, "Q5_0", {32, 22}, DType::q5_0},
    {7, "Q5_1", {32, 24}, DType::q5_1},
    {8, "Q8_0", {32, 34}, DType::q8_0},
    {10, "Q2_K", {256, 84}, DType::q2_k},
    {11, "Q3_K", {256, 110}, DType::q3_k},
    {12, "Q4_K", {256, 144}, DType::q4_k},
    {13, "Q5_K", {256, 176}, DType::q5_k},
    {14, "Q6_K", {256, 210}, DType::q6_k},
    {16, "IQ2_XXS", {256, 66}, {}},
    {17, "IQ2_XS", {256, 74}, {}},
    {18, "IQ3_XXS", {256, 98}, {}},
    {19, "IQ1_S", {256, 50}, {}},
    {20, "IQ4_NL", {32, 18}, DType::iq4_nl},
    {21, "IQ3_S", {256, 110}, {}},
    {22, "IQ2_S", {256, 82}, {}},
    {23, "IQ4_XS", {256, 136}, DType::iq4_xs},
    {24, "I8", {1, 1}, {}},
    {25, "I16", {1, 2}, {}},
    {26, "I32", {1, 4}, {}},
    {27, "I64", {1, 8}, {}},
    {28, "F64", {1, 8}, {}},
    {29, "IQ1_M", {256, 56}, {}},
    {30, "BF16", {1, 2}, DType::bf16},
    {34, "TQ1_0", {256, 54}, DType::tq1_0},
    {35, "TQ2_0", {256, 66}, DType::tq2_0},
    {39, "MXFP4", {32, 17}, DType::mxfp4},
    {40, "NVFP4", {64, 36}, DType::nvfp4},
    {41, "Q1_0", {128, 18}, {}},
    {42, "Q2_0", {64, 18}, {}},
};

/// True for the numbers that only ik_llama.cpp gives to types.
bool is_private_type(std::uint32_t id) noexcept {
  return (id >= 97 && id <= 99) || (id >= 133 && id <= 158) || (id >= 202 && id <= 399);
}

struct ValueType {
  std::string_view name;
  std::size_t bytes;  // 0 for those of variable length
};

constexpr ValueType kValueTypes[] = {{"u8", 1},     {"i8", 1},  {"u16", 2},    {"i16", 2},  {"u32", 4},
                                     {"i32", 4},    {"f32", 4}, {"bool", 1},   {"string", 0}, {"array", 0},
                                     {"u64", 8},    {"i64", 8}, {"f64", 8}};

const ValueType& traits_of(GgufType type) noexcept {
  return kValueTypes[static_cast<std::size_t>(type)];
}

template <class T>
T load(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The string whose length comes first.
std::string_view string_at(const std::byte* from) noexcept {
  return as_text({from + sizeof(std::uint64_t), load<std::uint64_t>(from)});
}

/// Takes a file apart from front to back.
class Parser {
 public:
  Parser(std::span<const std::byte> bytes, std::string_view name) : bytes_(bytes), name_(name) {}

  GgufHeader parse() {
    const std::uint32_t version = read_version();
    const std::uint64_t n_tensors = read<std::uint64_t>("the number of tensors");
    const std::uint64_t n_values = read<std::uint64_t>("the number of metadata");
    GgufMetadata metadata(read_metadata(n_values), name_);
    std::vector<GgufTensor> tensors = read_tensors(n_tensors);
    place_tensors(alignment_of(metadata), tensors);
    return {version, std::move(metadata), std::move(tensors)};
  }

 private:
  [[noreturn]] void fail(ErrorCode code, std::size_t offset, const std::string& message) const {
    throw Error(code, quote(name_) + ": byte " + std::to_string(offset) + ": " + message);
  }
  [[noreturn]] void fail(std::size_t offset, const std::string& message) const {
    fail(ErrorCode::format, offset, message);
  }

  std::span<const std::byte> take(std::uint64_t n, const std::string& what) {
    if (n > bytes_.size() - at_) {
      fail(at_, "the file is cut off: " + what + " needs " + std::to_string(n) + " bytes, " +
                    std::to_string(bytes_.size() - at_) + " are left");
    }
    const auto taken = bytes_.subspan(at_, n);
    at_ += n;
    return taken;
  }

  template <class T>
  T read(const std::string& what) {
    return load<T>(take(sizeof(T), what).data());
  }

  std::string_view read_string(const std::string& what) {
    const auto length = read<std::uint64_t>("the length of " + what);
    return as_text(take(length, what));
  }

  std::uint32_t read_version() {
    if (bytes_.size() < kGgufMagic.size() || as_text(bytes_.first(kGgufMagic.size())) != kGgufMagic) {
      fail(0, "not a GGUF file: expected it to begin with \"GGUF\"");
    }
    at_ = kGgufMagic.size();
    const auto version = read<std::uint32_t>("the version");
    if (version == 2 || version == kGgufVersion) return version;
    const bool is_swapped = version != 0 && (version & 0xffff) == 0;
    fail(ErrorCode::unsupported, kGgufMagic.size(),
         is_swapped ? "a big-endian file; only little-endian ones can be read"
                    : "expected version 2 or 3 of GGUF, found " + std::to_string(version));
  }

  GgufType read_type(const std::string& what) {
    const std::size_t offset = at_;
    const auto id = read<std::uint32_t>("the type of " + what);
    if (id >= std::size(kValueTypes)) {
      fail(offset, what + ": no type of metadata has the number " + std::to_string(id));
    }
    return static_cast<GgufType>(id);
  }

  GgufMetadata::Values read_metadata(std::uint64_t count) {
    GgufMetadata::Values values;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::size_t offset = at_;
      const std::string key(read_string("key " + std::to_string(i)));
      if (key.empty()) fail(offset, "key " + std::to_string(i) + " is empty");
      const std::string what = "key " + quote(key);
      const auto [place, is_new] = values.emplace(key, read_value(what));
      if (!is_new) fail(offset, what + " occurs twice");
    }
    return values;
  }

  GgufValue read_value(const std::string& what) {
    GgufValue value{read_type(what)};
    value.is_array = value.type == GgufType::array;
    if (value.is_array) {
      const std::size_t offset = at_;
      value.type = read_type("the elements of " + what);
      if (value.type == GgufType::array) fail(offset, what + ": arrays of arrays aren't allowed");
      value.count = read<std::uint64_t>("the length of " + what);
    }
    const std::size_t begin = at_;
    if (value.type == GgufType::string) {
      for (std::size_t i = 0; i < value.count; ++i) read_string(what);
    } else {
      const auto bytes = checked_product({value.count, traits_of(value.type).bytes});
      if (!bytes) fail(begin, what + ": its length of " + std::to_string(value.count) + " overflows");
      take(*bytes, what);
    }
    value.bytes = bytes_.subspan(begin, at_ - begin);
    return value;
  }

  std::vector<GgufTensor> read_tensors(std::uint64_t count) {
    std::vector<GgufTensor> tensors;
    std::unordered_set<std::string> names;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::size_t offset = at_;
      tensors.push_back(read_tensor(i));
      if (!names.insert(tensors.back().name).second) {
        fail(offset, "tensor " + quote(tensors.back().name) + " occurs twice");
      }
    }
    return tensors;
  }

  GgufTensor read_tensor(std::uint64_t index) {
    const std::size_t begin = at_;
    GgufTensor tensor{std::string(read_string("the name of tensor " + std::to_string(index)))};
    const std::string what = "tensor " + quote(tensor.name);
    const auto rank = read<std::uint32_t>("the rank of " + what);
    if (rank == 0 || rank > kMaxDimensions) {
      fail(begin, what + ": expected 1 to " + std::to_string(kMaxDimensions) + " dimensions, found " +
                      std::to_string(rank));
    }
    for (std::uint32_t i = 0; i < rank; ++i) {
      tensor.shape.push_back(read<std::uint64_t>("the shape of " + what));
    }
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    tensor.type = read_tensor_type(what);
    tensor.bytes = bytes_of(tensor, begin);
    tensor.offset = read<std::uint64_t>("the offset of " + what);  // in the data for now
    return tensor;
  }

  const GgufTensorType* read_tensor_type(const std::string& what) {
    const std::size_t offset = at_;
    const auto id = read<std::uint32_t>("the type of " + what);
    if (const GgufTensorType* type = find_gguf_type(id)) return type;
    if (is_private_type(id)) {
      fail(ErrorCode::unsupported, offset,
           what + ": type " + std::to_string(id) +
               " is a private one of ik_llama.cpp; take a file of a type that llama.cpp knows");
    }
    fail(ErrorCode::unsupported, offset, what + ": no type has the number " + std::to_string(id));
  }

  std::size_t bytes_of(const GgufTensor& tensor, std::size_t begin) const {
    const std::string what = "tensor " + quote(tensor.name) + ": ";
    const BlockShape block = tensor.type->block;
    std::size_t elements = 1;
    for (const std::size_t size : tensor.shape) {
      if (size == 0) fail(begin, what + "it has no elements: its shape is " + shape_text(tensor.shape));
      const auto product = checked_product({elements, size});
      if (!product) fail(begin, what + "its shape " + shape_text(tensor.shape) + " overflows");
      elements = *product;
    }
    if (tensor.shape.back() % block.elements != 0) {
      fail(begin, what + "its " + std::to_string(tensor.shape.back()) +
                      " columns are no whole number of " + std::string(tensor.type->name) +
                      "'s blocks of " + std::to_string(block.elements));
    }
    const auto bytes = checked_product({elements / block.elements, block.bytes});
    if (!bytes) fail(begin, what + "its shape " + shape_text(tensor.shape) + " overflows");
    return *bytes;
  }

  std::size_t alignment_of(const GgufMetadata& metadata) const {
    const std::size_t alignment = metadata.size(kAlignmentKey).value_or(kGgufAlignment);
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
      metadata.fail(ErrorCode::format, kAlignmentKey,
                    "expected a power of two, found " + std::to_string(alignment));
    }
    return alignment;
  }

  /// Checks that the tensors lie one after the other, and makes their offsets absolute.
  void place_tensors(std::size_t alignment, std::vector<GgufTensor>& tensors) const {
    if (tensors.empty()) return;
    const std::size_t data = aligned(at_, alignment);
    std::size_t next = 0;
    for (GgufTensor& tensor : tensors) {
      const std::string what = "tensor " + quote(tensor.name) + ": ";
      if (tensor.offset != next) {
        fail(at_, what + "expected it at byte " + std::to_string(next) + " of the data, found " +
                      std::to_string(tensor.offset) + ": tensors lie one after the other");
      }
      if (data > bytes_.size() || tensor.offset > bytes_.size() - data ||
          tensor.bytes > bytes_.size() - data - tensor.offset) {
        fail(bytes_.size(), "the file is cut off: " + what + "it has " + std::to_string(tensor.bytes) +
                                " bytes from byte " + std::to_string(tensor.offset) +
                                " of the data, which begins at byte " + std::to_string(data));
      }
      next = aligned(tensor.offset + tensor.bytes, alignment);
      tensor.offset += data;
    }
  }

  /// `offset`, which is inside the file, or the next multiple after it.
  std::size_t aligned(std::size_t offset, std::size_t alignment) const {
    std::size_t end = 0;
    if (__builtin_add_overflow(offset, alignment - 1, &end)) {
      fail(offset, "the alignment of " + std::to_string(alignment) + " overflows");
    }
    return end & ~(alignment - 1);
  }

  std::span<const std::byte> bytes_;
  std::string name_;
  std::size_t at_ = 0;  // next byte to read
};

std::string type_text(const GgufValue& value) {
  const std::string name(traits_of(value.type).name);
  return value.is_array ? std::to_string(value.count) + " x " + name : name;
}

/// The double that is written like `value`: 1e-05 rather than 9.99999974e-06.
double shortest_decimal(float value) {
  if (!std::isfinite(value)) return value;
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, value);
  double result = 0;
  std::from_chars(text, written.ptr, result);
  return result;
}

}  // namespace

const GgufTensorType* find_gguf_type(std::uint32_t id) noexcept {
  const auto found = std::find_if(std::begin(kTensorTypes), std::end(kTensorTypes),
                                  [id](const GgufTensorType& type) { return type.id == id; });
  return found == std::end(kTensorTypes) ? nullptr : found;
}

const GgufTensorType& gguf_type_of(DType dtype) noexcept {
  return *std::find_if(std::begin(kTensorTypes), std::end(kTensorTypes),
                       [dtype](const GgufTensorType& type) { return type.dtype == dtype; });
}

void GgufMetadata::fail(ErrorCode code, const std::string& key, const std::string& message) const {
  throw Error(code, quote(file_) + ": key " + quote(key) + ": " + message);
}

const GgufValue* GgufMetadata::find(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

double GgufMetadata::number_at(const GgufValue& value, std::size_t index, const std::string& key) const {
  const std::byte* at = value.bytes.data() + index * traits_of(value.type).bytes;
  switch (value.type) {
    case GgufType::u8:
      return load<std::uint8_t>(at);
    case GgufType::i8:
      return load<std::int8_t>(at);
    case GgufType::u16:
      return load<std::uint16_t>(at);
    case GgufType::i16:
      return load<std::int16_t>(at);
    case GgufType::u32:
      return load<std::uint32_t>(at);
    case GgufType::i32:
      return load<std::int32_t>(at);
    case GgufType::f32:
      return shortest_decimal(load<float>(at));
    case GgufType::u64:
      return static_cast<double>(load<std::uint64_t>(at));
    case GgufType::i64:
      return static_cast<double>(load<std::int64_t>(at));
    case GgufType::f64:
      return load<double>(at);
    default:
      fail(ErrorCode::format, key, "expected a number, found " + type_text(value));
  }
}

std::optional<double> GgufMetadata::number(const std::string& key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_array) fail(ErrorCode::format, key, "expected a number, found " + type_text(*value));
  return number_at(*value, 0, key);
}

std::optional<std::size_t> GgufMetadata::size(const std::string& key) const {
  constexpr double kMost = std::numeric_limits<std::uint32_t>::max();
  const std::optional<double> value = number(key);
  if (!value) return std::nullopt;
  if (!(*value >= 0 && *value <= kMost) || *value != std::floor(*value)) {
    fail(ErrorCode::format, key, "expected a whole number below 2^32, found " + std::to_string(*value));
  }
  return static_cast<std::size_t>(*value);
}

std::optional<bool> GgufMetadata::boolean(const std::string& key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_array || value->type != GgufType::boolean) {
    fail(ErrorCode::format, key, "expected a bool, found " + type_text(*value));
  }
  return value->bytes[0] != std::byte{0};
}

std::optional<std::string_view> GgufMetadata::string(const std::string& key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_array || value->type != GgufType::string) {
    fail(ErrorCode::format, key, "expected a string, found " + type_text(*value));
  }
  return string_at(value->bytes.data());
}

std::optional<std::vector<std::string_view>> GgufMetadata::strings(const std::string& key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array || value->type != GgufType::string) {
    fail(ErrorCode::format, key, "expected an array of strings, found " + type_text(*value));
  }
  std::vector<std::string_view> strings;
  const std::byte* at = value->bytes.data();
  for (std::size_t i = 0; i < value->count; ++i) {
    strings.push_back(string_at(at));
    at += sizeof(std::uint64_t) + strings.back().size();
  }
  return strings;
}

std::optional<std::vector<double>> GgufMetadata::numbers(const std::string& key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array) fail(ErrorCode::format, key, "expected an array, found " + type_text(*value));
  std::vector<double> numbers;
  for (std::size_t i = 0; i < value->count; ++i) numbers.push_back(number_at(*value, i, key));
  return numbers;
}

std::string describe(const GgufValue& value) {
  if (value.is_array) return type_text(value);
  if (value.type == GgufType::string) return std::string(string_at(value.bytes.data()));
  if (value.type == GgufType::boolean) return value.bytes[0] != std::byte{0} ? "true" : "false";
  const GgufMetadata alone({{"value", value}}, "");
  char text[64];
  const auto written = std::to_chars(text, text + sizeof text, *alone.number("value"));
  return {text, written.ptr};
}

GgufHeader parse_gguf(std::span<const std::byte> bytes, std::string_view name) {
  return Parser(bytes, name).parse();
}

GgufFile::GgufFile(const std::filesystem::path& path)
    : file_(path), header_(parse_gguf(file_.bytes(), path.native())) {}

bool is_gguf_file(const std::filesystem::path& path) {
  char magic[kGgufMagic.size()] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  return std::string_view(magic, sizeof magic) == kGgufMagic;
}

std::vector<FileTensor> list_tensors(const GgufFile& file) {
  std::vector<FileTensor> tensors;
  for (const GgufTensor& tensor : file.header().tensors) {
    tensors.push_back({tensor.name, std::string(tensor.type->name), tensor.type->dtype, tensor.shape,
                       file.file().bytes().subspan(tensor.offset, tensor.bytes), &file.file()});
  }
  return tensors;
}

}  // namespace mixtral::detail

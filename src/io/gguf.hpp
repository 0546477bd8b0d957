// The GGUF container, versions 2 and 3: metadata, a list of tensors, then their bytes.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_tensor.hpp"
#include "mixtral/core/dtype.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/mapped_file.hpp"

namespace mixtral::detail {

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr std::uint32_t kGgufVersion = 3;  ///< that is written
inline constexpr std::size_t kGgufAlignment = 32;  ///< of the tensors, unless the metadata say otherwise

/// The type of a value in the metadata, with the format's number.
enum class GgufType : std::uint32_t {
  u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64,
};

/// A type of tensors.
struct GgufTensorType {
  std::uint32_t id;
  std::string_view name;
  BlockShape block;
  std::optional<DType> dtype;  ///< unset for a type that this library has no kernels for
};

/// Nothing for an id that the format hasn't got.
const GgufTensorType* find_gguf_type(std::uint32_t id) noexcept;

const GgufTensorType& gguf_type_of(DType dtype) noexcept;

/// A value of the metadata where it lies in the file, checked.
struct GgufValue {
  GgufType type;                     ///< of each element
  bool is_array = false;
  std::size_t count = 1;             ///< elements
  std::span<const std::byte> bytes = {};  ///< of the elements, one after the other
};

struct GgufTensor {
  std::string name;
  const GgufTensorType* type = nullptr;
  std::vector<std::size_t> shape = {};  ///< outermost first
  std::size_t offset = 0;               ///< of the first byte, from the start of the file
  std::size_t bytes = 0;
};

/// The key-value pairs of a file, with typed access. An absent key reads as nothing; a value of
/// another type throws Error(format) naming the file and the key.
class GgufMetadata {
 public:
  using Values = std::map<std::string, GgufValue, std::less<>>;

  GgufMetadata(Values values, std::string_view file) : values_(std::move(values)), file_(file) {}

  const Values& values() const noexcept { return values_; }
  const std::string& file() const noexcept { return file_; }

  std::optional<std::size_t> size(const std::string& key) const;  ///< any integer that isn't negative
  std::optional<double> number(const std::string& key) const;     ///< any number; of an f32 its shortest decimal
  std::optional<bool> boolean(const std::string& key) const;
  std::optional<std::string_view> string(const std::string& key) const;
  std::optional<std::vector<std::string_view>> strings(const std::string& key) const;
  std::optional<std::vector<double>> numbers(const std::string& key) const;  ///< an array of any numbers

  [[noreturn]] void fail(ErrorCode code, const std::string& key, const std::string& message) const;

 private:
  const GgufValue* find(const std::string& key) const;
  double number_at(const GgufValue& value, std::size_t index, const std::string& key) const;

  Values values_;
  std::string file_;
};

/// The value for people: strings in full, of arrays the type and length.
std::string describe(const GgufValue& value);

struct GgufHeader {
  std::uint32_t version;
  GgufMetadata metadata;            ///< points into the bytes
  std::vector<GgufTensor> tensors;  ///< in the order of their bytes
};

/// Reads and checks all but the tensors' bytes of a whole file; `name` stands for it in messages.
/// Afterwards the tensors are known to lie one after the other, inside the file. Throws Error(format)
/// naming the byte and what is wrong there, Error(unsupported) for versions and types that can't be read.
/// Memory and time are linear in the size of the header.
GgufHeader parse_gguf(std::span<const std::byte> bytes, std::string_view name);

/// A mapped file whose header has been checked.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  const MappedFile& file() const noexcept { return file_; }
  const GgufHeader& header() const noexcept { return header_; }

 private:
  MappedFile file_;
  GgufHeader header_;
};

/// True for a file that begins like a GGUF file.
bool is_gguf_file(const std::filesystem::path& path);

/// The tensors of `file`, which must stay in place.
std::vector<FileTensor> list_tensors(const GgufFile& file);

}  // namespace mixtral::detail

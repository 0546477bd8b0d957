#include "io/gguf_writer.hpp"

#include <array>
#include <bit>

#include "io/file_status.hpp"

static_assert(std::endian::native == std::endian::little, "GGUF is written as it lies in memory");

namespace mixtral::detail {
namespace {

template <class T>
void put(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put(std::string& bytes, std::string_view text) {
  put<std::uint64_t>(bytes, text.size());
  bytes += text;
}

std::size_t padding_after(std::size_t bytes) noexcept { return (0 - bytes) % kGgufAlignment; }

std::size_t bytes_of(const GgufDeclaration& tensor) {
  std::size_t elements = 1;
  for (const std::size_t size : tensor.shape) elements *= size;
  return mixtral::bytes_of(tensor.type, elements);
}

std::string header_of(const GgufMetadataWriter& metadata, const std::vector<GgufDeclaration>& tensors) {
  std::string header(kGgufMagic);
  put<std::uint32_t>(header, kGgufVersion);
  put<std::uint64_t>(header, tensors.size());
  put<std::uint64_t>(header, metadata.count());
  header += metadata.bytes();
  std::uint64_t offset = 0;
  for (const GgufDeclaration& tensor : tensors) {
    put(header, std::string_view(tensor.name));
    put(header, static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      put<std::uint64_t>(header, *size);
    }
    put(header, gguf_type_of(tensor.type).id);
    put(header, offset);
    offset += bytes_of(tensor);
    offset += padding_after(offset);
  }
  header.append(padding_after(header.size()), '\0');
  return header;
}

}  // namespace

void GgufMetadataWriter::begin(std::string_view key, GgufType type) {
  ++count_;
  put(bytes_, key);
  put(bytes_, type);
}

void GgufMetadataWriter::begin_array(std::string_view key, GgufType type, std::size_t count) {
  begin(key, GgufType::array);
  put(bytes_, type);
  put<std::uint64_t>(bytes_, count);
}

void GgufMetadataWriter::add(std::string_view key, std::uint32_t value) {
  begin(key, GgufType::u32);
  put(bytes_, value);
}

void GgufMetadataWriter::add(std::string_view key, std::int32_t value) {
  begin(key, GgufType::i32);
  put(bytes_, value);
}

void GgufMetadataWriter::add(std::string_view key, float value) {
  begin(key, GgufType::f32);
  put(bytes_, value);
}

void GgufMetadataWriter::add(std::string_view key, bool value) {
  begin(key, GgufType::boolean);
  put<std::uint8_t>(bytes_, value ? 1 : 0);
}

void GgufMetadataWriter::add(std::string_view key, std::string_view value) {
  begin(key, GgufType::string);
  put(bytes_, value);
}

void GgufMetadataWriter::add(std::string_view key, std::span<const std::string> values) {
  begin_array(key, GgufType::string, values.size());
  for (const std::string& value : values) put(bytes_, std::string_view(value));
}

void GgufMetadataWriter::add(std::string_view key, std::span<const float> values) {
  begin_array(key, GgufType::f32, values.size());
  for (const float value : values) put(bytes_, value);
}

void GgufMetadataWriter::add(std::string_view key, std::span<const std::int32_t> values) {
  begin_array(key, GgufType::i32, values.size());
  for (const std::int32_t value : values) put(bytes_, value);
}

GgufWriter::GgufWriter(const std::filesystem::path& path, const GgufMetadataWriter& metadata,
                       const std::vector<GgufDeclaration>& tensors)
    : file_(path) {
  const std::string header = header_of(metadata, tensors);
  std::size_t total = header.size();
  for (const GgufDeclaration& tensor : tensors) {
    bytes_.push_back(bytes_of(tensor));
    total += bytes_.back() + padding_after(bytes_.back());
  }
  check_disk_space(path.parent_path(), total);
  file_.append(header);
}

void GgufWriter::append(std::span<const std::byte> bytes) {
  static constexpr std::array<std::byte, kGgufAlignment> kZeros = {};
  file_.append(bytes);
  written_ += bytes.size();
  if (tensor_ == bytes_.size() || written_ != bytes_[tensor_]) return;
  file_.append(std::span(kZeros).first(padding_after(written_)));
  ++tensor_;
  written_ = 0;
}

}  // namespace mixtral::detail

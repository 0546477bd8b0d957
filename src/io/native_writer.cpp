#include "io/native_writer.hpp"

#include <array>
#include <map>

#include "io/file_status.hpp"
#include "io/native_format.hpp"
#include "mixtral/io/safetensors.hpp"

namespace mixtral::detail {
namespace {

std::vector<SafetensorsDeclaration> declare(const NativeContents& contents) {
  std::vector<SafetensorsDeclaration> tensors;
  for (const auto& [name, text] : contents.files) {
    tensors.push_back({std::string(kFilePrefix) + name, "U8", {text.size()}});
  }
  for (const auto& [name, view] : contents.weights) {
    tensors.push_back({name, "U8", {native_bytes(view).value()}});
  }
  const std::size_t n_checksums = 1 + tensors.size() + 1;  // of the header, and of the checksums
  tensors.push_back({std::string(kChecksumsName), "U64", {n_checksums}});
  return tensors;
}

std::map<std::string, std::string> metadata_of(const NativeContents& contents) {
  std::map<std::string, std::string> metadata = {{kFormatKey, std::string(kFormatName)},
                                                 {kVersionKey, std::to_string(kNativeVersion)},
                                                 {kRecipeKey, contents.recipe}};
  for (const auto& [name, view] : contents.weights) metadata[name] = describe(view);
  return metadata;
}

SafetensorsWriter open_writer(const std::filesystem::path& path, const NativeContents& contents) {
  const std::vector<SafetensorsDeclaration> tensors = declare(contents);
  std::size_t bytes = 0;
  for (const auto& tensor : tensors) bytes += *safetensors_bytes(tensor.dtype, tensor.shape);
  check_disk_space(path.parent_path(), bytes);
  return SafetensorsWriter(path, tensors, metadata_of(contents),
                           {.bytes = kNativeAlignment, .first = contents.files.size()});
}

}  // namespace

NativeWriter::NativeWriter(const std::filesystem::path& path, const NativeContents& contents)
    : writer_(open_writer(path, contents)) {
  for (const auto& [name, view] : contents.weights) weight_bytes_.push_back(view.bytes());
  checksums_.push_back(checksum_of(std::as_bytes(std::span(writer_.header()))));
  for (const auto& [name, text] : contents.files) {
    write(std::as_bytes(std::span(text)));
    end_part();
  }
}

void NativeWriter::write(std::span<const std::byte> bytes) {
  writer_.append(bytes);
  checksum_.update(bytes);
}

void NativeWriter::end_part() { checksums_.push_back(checksum_.take()); }

void NativeWriter::append(std::span<const std::byte> bytes) {
  write(bytes);
  written_ += bytes.size();
  if (written_ == weight_bytes_[weight_]) end_weight();
}

void NativeWriter::end_weight() {
  static constexpr std::array<std::byte, kNativeAlignment> kZeros = {};
  const std::size_t beyond = written_ % kNativeAlignment;
  if (beyond != 0) write(std::span(kZeros).first(kNativeAlignment - beyond));
  end_part();
  ++weight_;
  written_ = 0;
}

void NativeWriter::commit() {
  checksums_.push_back(checksum_of(std::as_bytes(std::span(checksums_))));
  writer_.append(std::as_bytes(std::span(checksums_)));
  writer_.commit();
}

}  // namespace mixtral::detail

#include "mixtral/io/safetensors_writer.hpp"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/safetensors.hpp"

namespace mixtral {
namespace {

using detail::quote;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& message) {
  throw Error(ErrorCode::invalid_argument, quote(path) + ": " + message);
}

struct Header {
  std::string bytes;
  std::size_t data_bytes;
};

/// The tensors placed one after the other.
Header make_header(const std::filesystem::path& path,
                   const std::vector<SafetensorsDeclaration>& tensors,
                   const std::map<std::string, std::string>& metadata,
                   const SafetensorsAlignment& alignment) {
  nlohmann::json json = {{"__metadata__", metadata}};
  std::set<std::string> names = {"__metadata__"};
  std::size_t end = 0;
  std::size_t unaligned = 0;  // bytes of data before the tensor that is to be aligned
  for (const SafetensorsDeclaration& tensor : tensors) {
    if (!names.insert(tensor.name).second) fail(path, "tensor " + quote(tensor.name) + " twice");
    const std::size_t begin = end;
    const auto bytes = safetensors_bytes(tensor.dtype, tensor.shape);
    if (!bytes || __builtin_add_overflow(begin, *bytes, &end)) {
      fail(path, "tensor " + quote(tensor.name) + ": no size in bytes for " +
                     quote(tensor.dtype) + " of shape " + detail::shape_text(tensor.shape));
    }
    if (static_cast<std::size_t>(&tensor - tensors.data()) == alignment.first) unaligned = begin;
    json[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  const std::string text = json.dump();
  std::uint64_t length = text.size();
  const std::size_t before = (sizeof length + length + unaligned) % alignment.bytes;
  length += (alignment.bytes - before) % alignment.bytes;
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  bytes += text;
  bytes.resize(sizeof length + length, ' ');
  return {std::move(bytes), end};
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     const std::vector<SafetensorsDeclaration>& tensors,
                                     const std::map<std::string, std::string>& metadata,
                                     const SafetensorsAlignment& alignment)
    : file_(path) {
  Header header = make_header(path, tensors, metadata, alignment);
  header_ = std::move(header.bytes);
  missing_bytes_ = header.data_bytes;
  file_.append(header_);
}

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
  if (bytes.size() > missing_bytes_) {
    fail(file_.path(), "expected at most " + std::to_string(missing_bytes_) +
                           " more bytes of tensors, found " + std::to_string(bytes.size()));
  }
  file_.append(bytes);
  missing_bytes_ -= bytes.size();
}

void SafetensorsWriter::commit() {
  if (missing_bytes_ != 0) {
    fail(file_.path(), std::to_string(missing_bytes_) + " bytes of tensors are missing");
  }
  file_.commit();
}

}  // namespace mixtral

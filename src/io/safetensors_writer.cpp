#include "mixtral/io/safetensors_writer.hpp"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/safetensors.hpp"

namespace mixtral {
namespace {

using detail::quote;

constexpr std::size_t kAlignment = 64;  // the format asks for 8; a cache line suits vector loads

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& message) {
  throw Error(ErrorCode::invalid_argument, quote(path) + ": " + message);
}

struct Header {
  std::string text;
  std::size_t data_bytes;
};

/// The header as JSON, tensors placed one after the other, padded so that the data is aligned.
Header make_header(const std::filesystem::path& path,
                   const std::vector<SafetensorsDeclaration>& tensors,
                   const std::map<std::string, std::string>& metadata) {
  nlohmann::json json = {{"__metadata__", metadata}};
  std::set<std::string> names = {"__metadata__"};
  std::size_t end = 0;
  for (const SafetensorsDeclaration& tensor : tensors) {
    if (!names.insert(tensor.name).second) fail(path, "tensor " + quote(tensor.name) + " twice");
    const std::size_t begin = end;
    const auto bytes = safetensors_bytes(tensor.dtype, tensor.shape);
    if (!bytes || __builtin_add_overflow(begin, *bytes, &end)) {
      fail(path, "tensor " + quote(tensor.name) + ": no size in bytes for " +
                     quote(tensor.dtype) + " of shape " + detail::shape_text(tensor.shape));
    }
    json[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = json.dump();
  const std::size_t prefix = sizeof(std::uint64_t);
  text.append((kAlignment - (prefix + text.size()) % kAlignment) % kAlignment, ' ');
  return {std::move(text), end};
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     const std::vector<SafetensorsDeclaration>& tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path) {
  const Header header = make_header(path, tensors, metadata);
  const std::uint64_t length = header.text.size();
  file_.append(std::as_bytes(std::span(&length, 1)));
  file_.append(header.text);
  missing_bytes_ = header.data_bytes;
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

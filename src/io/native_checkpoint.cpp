#include "mixtral/io/native_checkpoint.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/message.hpp"
#include "io/checksum.hpp"
#include "io/model_description.hpp"
#include "io/model_tensors.hpp"
#include "io/native_format.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/safetensors.hpp"

namespace mixtral {
namespace {

using detail::NamedText;
using detail::quote;

constexpr const char* kHeaderName = "header";

std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// What a file of another format is, by its first bytes; empty for a safetensors file.
std::string_view foreign_kind(std::span<const std::byte> bytes) noexcept {
  constexpr std::size_t kLengthBytes = 8;  // of a safetensors header, before its JSON
  const std::string_view text = as_text(bytes.first(std::min<std::size_t>(bytes.size(), 16)));
  if (text.starts_with("GGUF")) return "a GGUF file";
  if (text.starts_with("PK\3\4")) return "a zip archive, as PyTorch writes its checkpoints";
  if (text.starts_with('{')) return "a JSON file";
  if (text.size() > kLengthBytes && text[kLengthBytes] == '{') return {};
  return "a file of another kind";
}

bool is_native(const SafetensorsHeader& header) {
  const auto format = header.metadata.find(detail::kFormatKey);
  return format != header.metadata.end() && format->second == detail::kFormatName;
}

/// Takes a file apart from front to back.
class NativeReader {
 public:
  NativeReader(std::span<const std::byte> bytes, std::string_view name)
      : bytes_(bytes), name_(name), header_(parse_header()) {}

  NativeIndex read() {
    check_version();
    index_.recipe = metadata(detail::kRecipeKey);
    const std::size_t header_bytes =
        header_.tensors.empty() ? bytes_.size() : header_.tensors.front().offset;
    index_.parts.push_back({kHeaderName, bytes_.first(header_bytes), 0});
    read_files();
    describe_model();
    visit_tensors(index_.config, [this](const TensorKey& key) { read_weight(key); });
    read_checksums();
    if (next_ != header_.tensors.size()) fail_tensor("it has no place in this model");
    return std::move(index_);
  }

 private:
  [[noreturn]] void fail(ErrorCode code, const std::string& message) const {
    throw Error(code, quote(name_) + ": " + message);
  }
  /// About the next tensor.
  [[noreturn]] void fail_tensor(const std::string& message) const {
    fail(ErrorCode::format, "tensor " + quote(header_.tensors[next_].name) + ": " + message);
  }

  SafetensorsHeader parse_header() const {
    const std::string expected =
        "expected a Hugging Face model directory, a GGUF file or a native file, found ";
    const std::string_view kind = foreign_kind(bytes_);
    if (!kind.empty()) fail(ErrorCode::unsupported, expected + std::string(kind));
    SafetensorsHeader header = parse_safetensors_header(bytes_, bytes_.size(), name_);
    if (!is_native(header)) {
      fail(ErrorCode::unsupported, expected +
                                       "a safetensors file of another program; open its directory, or "
                                       "pack that with `mixtral convert DIRECTORY FILE.mixtral`");
    }
    return header;
  }

  const std::string& metadata(const std::string& key) const {
    const auto found = header_.metadata.find(key);
    if (found == header_.metadata.end()) {
      fail(ErrorCode::format, "the header's metadata lack the key " + quote(key));
    }
    return found->second;
  }

  void check_version() const {
    const std::string& version = metadata(detail::kVersionKey);
    if (version == std::to_string(detail::kNativeVersion)) return;
    fail(ErrorCode::unsupported, "expected version " + std::to_string(detail::kNativeVersion) +
                                     " of the native format, found " + quote(version) +
                                     ": a newer mixtral wrote this file");
  }

  bool is_next(std::string_view name) const noexcept {
    return next_ != header_.tensors.size() && header_.tensors[next_].name == name;
  }

  /// The next tensor, which must have this name and these dimensions.
  std::span<const std::byte> take(const std::string& name, std::string_view dtype,
                                  std::size_t size) {
    if (!is_next(name)) {
      fail(ErrorCode::format,
           "expected tensor " + quote(name) + " after " + quote(index_.parts.back().name) +
               ", found " +
               (next_ == header_.tensors.size() ? "none" : quote(header_.tensors[next_].name)));
    }
    const SafetensorsEntry& entry = header_.tensors[next_];
    if (entry.dtype != dtype || entry.shape != std::vector{size}) {
      fail_tensor("expected " + std::string(dtype) + " [" + std::to_string(size) + "], found " +
                  std::string(entry.dtype) + " " + detail::shape_text(entry.shape));
    }
    const auto bytes = bytes_.subspan(entry.offset, entry.bytes);
    index_.parts.push_back({name, bytes, 0});
    ++next_;
    return bytes;
  }

  void read_files() {
    while (next_ != header_.tensors.size() &&
           header_.tensors[next_].name.starts_with(detail::kFilePrefix)) {
      const SafetensorsEntry& entry = header_.tensors[next_];
      const std::string file = entry.name.substr(detail::kFilePrefix.size());
      if (std::find(std::begin(kModelFiles), std::end(kModelFiles), file) == std::end(kModelFiles)) {
        fail_tensor("no model has such a file");
      }
      if (entry.bytes > kMaxModelFileBytes) {
        fail_tensor("expected at most " + std::to_string(kMaxModelFileBytes) + " bytes, found " +
                    std::to_string(entry.bytes));
      }
      index_.files.emplace(file, as_text(take(entry.name, "U8", entry.bytes)));
    }
  }

  std::optional<NamedText> named_file(const std::string& file) const {
    const auto found = index_.files.find(file);
    if (found == index_.files.end()) return std::nullopt;
    return NamedText{name_ + ": " + file, std::string(found->second)};
  }

  void describe_model() {
    const auto config = named_file("config.json");
    if (!config) fail(ErrorCode::format, "expected a tensor \"file/config.json\", found none");
    auto [parsed, defaults] = detail::describe_model(*config, named_file("generation_config.json"));
    index_.config = std::move(parsed);
    index_.generation_defaults = defaults;
  }

  void read_weight(const TensorKey& key) {
    const std::string name = name_of(key);
    WeightView view = detail::native_view(key.role, dtype_of_weight(key.role, name), index_.config);
    if (const std::string stated = metadata(name); stated != detail::describe(view)) {
      fail(ErrorCode::format, "metadata of tensor " + quote(name) + ": expected " +
                                  quote(detail::describe(view)) + ", found " + quote(stated));
    }
    const auto bytes = detail::native_bytes(view);
    if (!bytes) fail(ErrorCode::format, "tensor " + quote(name) + ": its size overflows");
    view.data = take(name, "U8", *bytes).data();
    if (static_cast<std::size_t>(view.data - bytes_.data()) % detail::kNativeAlignment != 0) {
      --next_;
      fail_tensor("expected it to begin at a multiple of " +
                  std::to_string(detail::kNativeAlignment) + ", found byte " +
                  std::to_string(view.data - bytes_.data()));
    }
    index_.weights.push_back(view);
  }

  /// What the metadata say, checked: a type of this library that the tensor may have.
  DType dtype_of_weight(TensorRole role, const std::string& name) const {
    const std::string& stated = metadata(name);
    const std::string type = stated.substr(0, stated.find(' '));
    const auto fail_type = [&](ErrorCode code, const std::string& message) {
      fail(code, "metadata of tensor " + quote(name) + ": " + message + ", found type " + quote(type));
    };
    const std::optional<DType> dtype = dtype_of(type);
    if (!dtype) fail_type(ErrorCode::unsupported, "expected a type that this version knows");
    if (detail::is_always_f32(role) && *dtype != DType::f32) {
      fail_type(ErrorCode::format, "expected f32");
    }
    const std::size_t cols = detail::shape_of(role, index_.config).cols;
    if (cols % block_of(*dtype).elements != 0) {
      fail_type(ErrorCode::format, "its " + std::to_string(cols) +
                                       " columns are no whole number of blocks of " +
                                       std::to_string(block_of(*dtype).elements));
    }
    return *dtype;
  }

  /// One for each part before them, then one of their own bytes before it.
  void read_checksums() {
    const std::size_t count = index_.parts.size();
    const auto bytes = take(std::string(detail::kChecksumsName), "U64", count + 1);
    index_.parts.back().bytes = bytes.first(count * sizeof(std::uint64_t));
    for (std::size_t i = 0; i <= count; ++i) {
      std::memcpy(&index_.parts[i].checksum, bytes.data() + i * sizeof(std::uint64_t),
                  sizeof(std::uint64_t));
    }
  }

  std::span<const std::byte> bytes_;
  std::string name_;
  SafetensorsHeader header_;
  std::size_t next_ = 0;  // position of the next tensor
  NativeIndex index_;
};

}  // namespace

NativeIndex parse_native(std::span<const std::byte> bytes, std::string_view name) {
  return NativeReader(bytes, name).read();
}

NativeCheckpoint::NativeCheckpoint(const std::filesystem::path& path)
    : file_(path), index_(parse_native(file_.bytes(), path.native())) {
  for (const NativePart& part : {index_.parts.back(), index_.parts.front()}) {
    if (detail::checksum_of(part.bytes) == part.checksum) continue;
    throw Error(ErrorCode::format,
                quote(path) + ": " + quote(part.name) + " is damaged: its checksum is wrong");
  }
}

WeightView NativeCheckpoint::tensor(TensorKey key) const {
  detail::check_inside(key, config());
  return index_.weights[detail::position_of(key, config())];
}

std::optional<std::string> NativeCheckpoint::file(std::string_view name) const {
  const auto found = index_.files.find(name);
  if (found == index_.files.end()) return std::nullopt;
  return std::string(found->second);
}

std::size_t NativeCheckpoint::weight_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const WeightView& view : index_.weights) bytes += view.bytes();
  return bytes;
}

bool is_native_file(const std::filesystem::path& path) {
  try {
    const SafetensorsFile file(path);
    return is_native(file.header());
  } catch (const Error&) {
    return false;
  }
}

}  // namespace mixtral

#include "io/torch_file.hpp"

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/checked.hpp"
#include "core/message.hpp"
#include "io/pickle.hpp"
#include "io/zip.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

constexpr std::string_view kPickle = "/data.pkl";

struct ElementType {
  std::string_view storage_class, name;
  std::size_t bytes;
  std::optional<DType> dtype;
};

constexpr ElementType kElementTypes[] = {
    {"BFloat16Storage", "bfloat16", 2, DType::bf16}, {"HalfStorage", "float16", 2, DType::f16},
    {"FloatStorage", "float32", 4, DType::f32},      {"DoubleStorage", "float64", 8, std::nullopt},
    {"LongStorage", "int64", 8, std::nullopt},       {"IntStorage", "int32", 4, std::nullopt},
    {"ShortStorage", "int16", 2, std::nullopt},      {"CharStorage", "int8", 1, std::nullopt},
    {"ByteStorage", "uint8", 1, std::nullopt},       {"BoolStorage", "bool", 1, std::nullopt},
};

const ElementType& element_type(std::string_view storage_class) {
  const ElementType* type = kElementTypes;
  while (type->storage_class != storage_class) ++type;  // the pickle reader knows the same ones
  return *type;
}

class TorchReader {
 public:
  TorchReader(std::span<const std::byte> bytes, std::string_view file) : file_(file) {
    if (!is_zip(bytes)) {
      throw Error(ErrorCode::unsupported,
                  quote(file) + ": expected a ZIP archive, as torch.save writes since version 1.6, found "
                                "another format; a newer torch rewrites it: torch.save(torch.load(FILE, "
                                "map_location='cpu'), NEW_FILE)");
    }
    for (const ZipEntry& entry : list_zip(bytes, file)) entries_.emplace(entry.name, entry);
  }

  std::vector<FileTensor> read() const {
    const ZipEntry& pickle = find_pickle();
    const std::string name = std::string(file_) + ", " + std::string(pickle.name);
    const std::string_view folder = pickle.name.substr(0, pickle.name.size() - kPickle.size());
    check_byte_order(folder);
    std::vector<FileTensor> tensors;
    for (const PickledTensor& tensor : read_pickled_tensors(pickle.bytes, name)) {
      tensors.push_back(place(tensor, std::string(folder) + "/data/"));
    }
    return tensors;
  }

 private:
  const ZipEntry& find_pickle() const {
    const ZipEntry* found = nullptr;
    for (const auto& [name, entry] : entries_) {
      if (!name.ends_with(kPickle) || name.find('/') != name.size() - kPickle.size()) continue;
      if (found != nullptr) fail("expected one data.pkl, found several");
      found = &entry;
    }
    if (found == nullptr) fail("expected a data.pkl, as torch.save writes it, found none");
    return *found;
  }

  void check_byte_order(std::string_view folder) const {
    const auto order = entries_.find(std::string(folder) + "/byteorder");
    if (order == entries_.end()) return;
    const auto bytes = order->second.bytes;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text != "little") {
      throw Error(ErrorCode::unsupported,
                  quote(file_) + ": byteorder: expected little, found " + quote(text));
    }
  }

  /// Finds the bytes of a tensor in its storage, whose file has a name that begins with `prefix`.
  FileTensor place(const PickledTensor& tensor, const std::string& prefix) const {
    const auto fail_here = [&](const std::string& message) {
      fail("tensor " + quote(tensor.name) + ": " + message);
    };
    const ElementType& type = element_type(tensor.storage_class);
    const auto storage = entries_.find(prefix + std::string(tensor.storage));
    if (storage == entries_.end()) fail_here("its storage " + quote(tensor.storage) + " is missing");
    const std::span<const std::byte> bytes = storage->second.bytes;
    if (checked_product({tensor.storage_elements, type.bytes}) != bytes.size()) {
      fail_here("expected a storage of " + std::to_string(tensor.storage_elements) + " elements of " +
                std::to_string(type.bytes) + " bytes, found " + std::to_string(bytes.size()) + " bytes");
    }
    const auto n_elements = checked_product(tensor.shape);
    if (!n_elements || *n_elements > tensor.storage_elements) {
      fail_here("shape " + shape_text(tensor.shape) + " has more elements than its storage's " +
                std::to_string(tensor.storage_elements));
    }
    const auto count = elements_spanned(tensor);
    if (!count || tensor.first > tensor.storage_elements ||
        *count > tensor.storage_elements - tensor.first) {
      fail_here("shape " + shape_text(tensor.shape) + " with strides " + shape_text(tensor.strides) +
                " from element " + std::to_string(tensor.first) + " on reaches beyond the " +
                std::to_string(tensor.storage_elements) + " elements of its storage");
    }
    return {std::string(tensor.name), std::string(type.name), type.dtype, tensor.shape,
            bytes.subspan(tensor.first * type.bytes, *count * type.bytes), nullptr,
            is_row_major(tensor) ? std::vector<std::size_t>() : tensor.strides};
  }

  /// From the first to the last one; nothing when that overflows.
  static std::optional<std::size_t> elements_spanned(const PickledTensor& tensor) {
    std::size_t count = 1;
    for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
      if (tensor.shape[i] == 0) return 0;
      const auto step = checked_product({tensor.shape[i] - 1, tensor.strides[i]});
      if (!step || __builtin_add_overflow(count, *step, &count)) return std::nullopt;
    }
    return count;
  }

  static bool is_row_major(const PickledTensor& tensor) {
    std::size_t expected = 1;  // no product overflows: that of the whole shape doesn't
    for (std::size_t i = tensor.shape.size(); i-- > 0;) {
      if (tensor.shape[i] > 1 && tensor.strides[i] != expected) return false;
      expected *= tensor.shape[i];
    }
    return true;
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorCode::format, quote(file_) + ": " + message);
  }

  std::string_view file_;
  std::unordered_map<std::string, ZipEntry> entries_;
};

}  // namespace

std::vector<FileTensor> list_torch_tensors(const MappedFile& file) {
  std::vector<FileTensor> tensors = parse_torch_file(file.bytes(), file.path().native());
  for (FileTensor& tensor : tensors) tensor.file = &file;
  return tensors;
}

std::vector<FileTensor> parse_torch_file(std::span<const std::byte> bytes, std::string_view name) {
  return TorchReader(bytes, name).read();
}

}  // namespace mixtral::detail

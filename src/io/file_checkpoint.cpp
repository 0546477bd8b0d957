#include "io/file_checkpoint.hpp"

#include <filesystem>
#include <utility>

#include "io/file_status.hpp"
#include "io/model_tensors.hpp"

namespace mixtral::detail {

LoadedTensor FileCheckpoint::load(TensorKey key) const {
  const TensorSource& from = source(key);
  return from.decode ? from.decode() : LoadedTensor{from.view};
}

std::size_t FileCheckpoint::weight_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const TensorSource& tensor : parts_.tensors) bytes += tensor.view.bytes();
  return config().tie_embeddings ? bytes - parts_.tensors[0].view.bytes() : bytes;
}

void FileCheckpoint::check_unchanged() const {
  for (const MappedFile* file : parts_.files) file->check_unchanged();
}

const TensorSource& FileCheckpoint::source(const TensorKey& key) const {
  check_inside(key, config());
  return parts_.tensors[position_of(key, config())];
}

std::function<std::optional<std::string>(std::string_view)> files_in(std::filesystem::path directory) {
  return [directory = std::move(directory)](std::string_view name) -> std::optional<std::string> {
    const std::filesystem::path path = directory / name;
    if (!is_there(path)) return std::nullopt;
    return read_text_file(path, kMaxModelFileBytes);
  };
}

}  // namespace mixtral::detail

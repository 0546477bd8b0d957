#include "io/hf_weights_writer.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "io/hf_tensors.hpp"
#include "mixtral/io/output_file.hpp"
#include "mixtral/io/safetensors.hpp"

namespace mixtral::detail {

std::vector<HfTensor> hf_tensors_of(const Config& config, DType dtype) {
  std::vector<HfTensor> tensors;
  visit_tensors(config, [&](const TensorKey& key) {
    if (key.role == TensorRole::lm_head && config.tie_embeddings) return;
    std::vector<std::size_t> shape = hf_shape_of(key.role, config);
    const std::size_t bytes = *safetensors_bytes(safetensors_name_of(dtype), shape);
    tensors.push_back({key, hf_name_of(key), std::move(shape), bytes});
  });
  return tensors;
}

std::size_t bytes_of(const std::vector<HfTensor>& tensors) noexcept {
  std::size_t bytes = 0;
  for (const HfTensor& tensor : tensors) bytes += tensor.bytes;
  return bytes;
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  OutputFile file(path);
  file.append(text);
  file.commit();
}

HfWeightsWriter::HfWeightsWriter(std::filesystem::path directory,
                                 const std::vector<HfTensor>& tensors, DType dtype,
                                 std::size_t max_shard_bytes)
    : directory_(std::move(directory)), dtype_(dtype) {
  std::size_t first = 0, used = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (used != 0 && (used >= max_shard_bytes || tensors[i].bytes > max_shard_bytes - used)) {
      shards_.push_back(Shard(tensors).subspan(first, i - first));
      first = i;
      used = 0;
    }
    used += tensors[i].bytes;
  }
  shards_.push_back(Shard(tensors).subspan(first));
}

void HfWeightsWriter::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (missing_bytes_ == 0) open_shard();
  writer_->append(bytes);
  missing_bytes_ -= bytes.size();
  if (missing_bytes_ == 0) writer_->commit();
}

void HfWeightsWriter::commit() {
  if (shards_.size() == 1) return;
  nlohmann::json weight_map;
  std::size_t total_bytes = 0;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    for (const HfTensor& tensor : shards_[i]) {
      weight_map[tensor.name] = name_of_shard(i);
      total_bytes += tensor.bytes;
    }
  }
  const nlohmann::json index = {{"metadata", {{"total_size", total_bytes}}},
                                {"weight_map", weight_map}};
  write_text(directory_ / "model.safetensors.index.json", index.dump(2) + "\n");
}

std::string HfWeightsWriter::name_of_shard(std::size_t index) const {
  if (shards_.size() == 1) return "model.safetensors";
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", index + 1, shards_.size());
  return name;
}

void HfWeightsWriter::open_shard() {
  std::vector<SafetensorsDeclaration> declarations;
  for (const HfTensor& tensor : shards_[n_begun_]) {
    declarations.push_back({tensor.name, std::string(safetensors_name_of(dtype_)), tensor.shape});
    missing_bytes_ += tensor.bytes;
  }
  writer_.emplace(directory_ / name_of_shard(n_begun_), declarations);
  ++n_begun_;
}

}  // namespace mixtral::detail

// The weights of a Hugging Face directory on their way to the disk: shards and their index.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/core/config.hpp"
#include "mixtral/core/dtype.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/safetensors_writer.hpp"

namespace mixtral::detail {

/// A tensor that a directory stores.
struct HfTensor {
  TensorKey key;
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t bytes;
};

/// All those of a model in a plain type, in the order of visit_tensors: no lm_head when it is tied.
std::vector<HfTensor> hf_tensors_of(const Config& config, DType dtype);

std::size_t bytes_of(const std::vector<HfTensor>& tensors) noexcept;

/// Writes a small file.
void write_text(const std::filesystem::path& path, std::string_view text);

/// Append the bytes of all tensors in their order, commit. One thread at a time.
class HfWeightsWriter {
 public:
  /// Fills shards in order, each up to `max_shard_bytes` unless a single tensor is larger. `tensors` must
  /// stay in place.
  HfWeightsWriter(std::filesystem::path directory, const std::vector<HfTensor>& tensors, DType dtype,
                  std::size_t max_shard_bytes);

  /// The next bytes of a tensor, at most to its end. Throws Error(io).
  void append(std::span<const std::byte> bytes);

  /// Writes the index, if there are several shards. Throws Error(io).
  void commit();

 private:
  using Shard = std::span<const HfTensor>;

  std::string name_of_shard(std::size_t index) const;
  void open_shard();

  std::filesystem::path directory_;
  DType dtype_;
  std::vector<Shard> shards_;
  std::size_t n_begun_ = 0;                  // shards
  std::optional<SafetensorsWriter> writer_;  // of the last of these
  std::size_t missing_bytes_ = 0;            // of this one
};

}  // namespace mixtral::detail

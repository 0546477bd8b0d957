#include "mixtral/io/synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/message.hpp"
#include "io/file_status.hpp"
#include "io/hf_tensors.hpp"
#include "io/model_tensors.hpp"
#include "io/random_weights.hpp"
#include "io/temporary_directory.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/io/hf_config.hpp"
#include "mixtral/io/safetensors.hpp"
#include "mixtral/io/safetensors_writer.hpp"

namespace mixtral {
namespace {

namespace fs = std::filesystem;
using detail::quote;

struct Tensor {
  TensorRole role;
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t bytes;
};

using Shard = std::vector<Tensor>;

std::vector<Tensor> tensors_of(const Config& config, DType dtype) {
  std::vector<Tensor> tensors;
  visit_tensors(config, [&](const TensorKey& key) {
    if (key.role == TensorRole::lm_head && config.tie_embeddings) return;
    std::vector<std::size_t> shape = detail::hf_shape_of(key.role, config);
    const std::size_t bytes = *safetensors_bytes(safetensors_name_of(dtype), shape);
    tensors.push_back({key.role, detail::hf_name_of(key), std::move(shape), bytes});
  });
  return tensors;
}

std::size_t bytes_of(const std::vector<Tensor>& tensors) {
  std::size_t bytes = 0;
  for (const Tensor& tensor : tensors) bytes += tensor.bytes;
  return bytes;
}

/// Fills shards in order, each up to `max_bytes` unless a single tensor is larger.
std::vector<Shard> split(std::vector<Tensor> tensors, std::size_t max_bytes) {
  std::vector<Shard> shards(1);
  std::size_t used = 0;
  for (Tensor& tensor : tensors) {
    if (used != 0 && (used >= max_bytes || tensor.bytes > max_bytes - used)) {
      shards.emplace_back();
      used = 0;
    }
    used += tensor.bytes;
    shards.back().push_back(std::move(tensor));
  }
  return shards;
}

std::string shard_name(std::size_t index, std::size_t count) {
  if (count == 1) return "model.safetensors";
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return name;
}

void write_text(const fs::path& path, const std::string& text) {
  OutputFile file(path);
  file.append(text);
  file.commit();
}

/// Makes tensors a buffer at a time, all workers on each, and hands them to the writer.
class WeightStream {
 public:
  WeightStream(const Config& config, const SyntheticOptions& options, Executor& executor,
               std::size_t total_bytes)
      : config_(config), options_(options), executor_(executor), progress_{0, total_bytes} {}

  void write(const fs::path& path, const Shard& shard) {
    std::vector<SafetensorsDeclaration> declarations;
    for (const Tensor& tensor : shard) {
      declarations.push_back(
          {tensor.name, std::string(safetensors_name_of(options_.dtype)), tensor.shape});
    }
    SafetensorsWriter writer(path, declarations);
    for (const Tensor& tensor : shard) write(writer, tensor);
    writer.commit();
  }

 private:
  static constexpr std::size_t kTaskBytes = std::size_t{1} << 20;
  static constexpr std::size_t kBufferBytes = 32 * kTaskBytes;

  void write(SafetensorsWriter& writer, const Tensor& tensor) {
    const detail::RandomWeights weights(options_.seed, tensor.name, options_.dtype,
                                        mean_of(tensor.role), deviation_of(tensor));
    for (std::size_t begin = 0; begin < tensor.bytes; begin += kBufferBytes) {
      const auto chunk = buffer_.span().first(std::min(kBufferBytes, tensor.bytes - begin));
      const auto fill = [&](std::size_t task, std::size_t) {
        const std::size_t offset = task * kTaskBytes;
        weights.fill((begin + offset) / size_of(options_.dtype),
                     chunk.subspan(offset, std::min(kTaskBytes, chunk.size() - offset)));
      };
      executor_.run((chunk.size() + kTaskBytes - 1) / kTaskBytes, fill);
      writer.append(chunk);
      report(chunk.size());
    }
  }

  static double mean_of(TensorRole role) { return detail::is_norm(role) ? 1 : 0; }

  double deviation_of(const Tensor& tensor) const {
    constexpr double kNormSpread = 0.1;
    const double by_fan_in = 1 / std::sqrt(static_cast<double>(tensor.shape.back()));
    if (detail::is_norm(tensor.role)) return kNormSpread;
    switch (tensor.role) {
      case TensorRole::embedding:
        return config_.tie_embeddings ? by_fan_in : 1;
      case TensorRole::output:
      case TensorRole::expert_down:  // 2 n_layers of these add up in the residual stream
        return by_fan_in / std::sqrt(2.0 * static_cast<double>(config_.n_layers));
      default:
        return by_fan_in;
    }
  }

  void report(std::size_t bytes) {
    progress_.done += bytes;
    if (options_.on_progress && !options_.on_progress(progress_)) {
      throw Error(ErrorCode::cancelled, "writing the synthetic checkpoint was cancelled");
    }
  }

  const Config& config_;
  const SyntheticOptions& options_;
  Executor& executor_;
  SyntheticProgress progress_;
  AlignedBuffer<std::byte> buffer_{kBufferBytes};
};

std::string index_json(const std::vector<Shard>& shards, std::size_t total_bytes) {
  nlohmann::json weight_map;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    for (const Tensor& tensor : shards[i]) weight_map[tensor.name] = shard_name(i, shards.size());
  }
  const nlohmann::json index = {{"metadata", {{"total_size", total_bytes}}},
                                {"weight_map", weight_map}};
  return index.dump(2) + "\n";
}

}  // namespace

void write_synthetic_checkpoint(const fs::path& directory, const Config& config,
                                const SyntheticOptions& options, Executor& executor) {
  validate(config);
  if (is_quantised(options.dtype)) {
    throw Error(ErrorCode::invalid_argument, "synthetic weights: expected f32, f16 or bf16, found " +
                                                 std::string(name_of(options.dtype)));
  }
  detail::TemporaryDirectory target(directory);
  std::vector<Tensor> tensors = tensors_of(config, options.dtype);
  const std::size_t total_bytes = bytes_of(tensors);
  detail::check_disk_space(target.path().parent_path(), total_bytes);
  write_text(target.path() / "config.json", to_hf_config_json(config, options.dtype));
  write_text(target.path() / "generation_config.json", to_hf_generation_config_json(config));

  const std::vector<Shard> shards = split(std::move(tensors), options.max_shard_bytes);
  WeightStream stream(config, options, executor, total_bytes);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    stream.write(target.path() / shard_name(i, shards.size()), shards[i]);
  }
  if (shards.size() > 1) {
    write_text(target.path() / "model.safetensors.index.json", index_json(shards, total_bytes));
  }
  target.commit();
}

}  // namespace mixtral

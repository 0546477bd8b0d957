#include "mixtral/io/synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "io/file_status.hpp"
#include "io/hf_weights_writer.hpp"
#include "io/model_tensors.hpp"
#include "io/random_weights.hpp"
#include "io/temporary_directory.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/io/hf_config.hpp"

namespace mixtral {
namespace {

namespace fs = std::filesystem;
using detail::HfTensor;

/// Makes tensors a buffer at a time, all workers on each, and hands them to the writer.
class WeightStream {
 public:
  WeightStream(const Config& config, const SyntheticOptions& options, Executor& executor,
               std::size_t total_bytes)
      : config_(config), options_(options), executor_(executor), progress_{0, total_bytes} {}

  void write(detail::HfWeightsWriter& writer, const HfTensor& tensor) {
    const detail::RandomWeights weights(options_.seed, tensor.name, options_.dtype,
                                        mean_of(tensor.key.role), deviation_of(tensor));
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

 private:
  static constexpr std::size_t kTaskBytes = std::size_t{1} << 20;
  static constexpr std::size_t kBufferBytes = 32 * kTaskBytes;

  static double mean_of(TensorRole role) { return detail::is_norm(role) ? 1 : 0; }

  double deviation_of(const HfTensor& tensor) const {
    constexpr double kNormSpread = 0.1;
    const double by_fan_in = 1 / std::sqrt(static_cast<double>(tensor.shape.back()));
    if (detail::is_norm(tensor.key.role)) return kNormSpread;
    switch (tensor.key.role) {
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

}  // namespace

void write_synthetic_checkpoint(const fs::path& directory, const Config& config,
                                const SyntheticOptions& options, Executor& executor) {
  validate(config);
  if (is_quantised(options.dtype)) {
    throw Error(ErrorCode::invalid_argument, "synthetic weights: expected f32, f16 or bf16, found " +
                                                 std::string(name_of(options.dtype)));
  }
  detail::TemporaryDirectory target(directory);
  const std::vector<HfTensor> tensors = detail::hf_tensors_of(config, options.dtype);
  const std::size_t total_bytes = detail::bytes_of(tensors);
  detail::check_disk_space(target.path().parent_path(), total_bytes);
  detail::write_text(target.path() / "config.json", to_hf_config_json(config, options.dtype));
  detail::write_text(target.path() / "generation_config.json",
                     to_hf_generation_config_json(config));

  WeightStream stream(config, options, executor, total_bytes);
  detail::HfWeightsWriter writer(target.path(), tensors, options.dtype, options.max_shard_bytes);
  for (const HfTensor& tensor : tensors) stream.write(writer, tensor);
  writer.commit();
  target.commit();
}

}  // namespace mixtral

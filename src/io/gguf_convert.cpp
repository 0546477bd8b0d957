#include <string>
#include <utility>
#include <vector>

#include "core/message.hpp"
#include "io/conversion.hpp"
#include "io/gguf_description.hpp"
#include "io/gguf_tensors.hpp"
#include "io/gguf_writer.hpp"
#include "io/model_tensors.hpp"
#include "io/weight_stream.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/gguf.hpp"

namespace mixtral {
namespace {

using detail::quote;

/// The tensors in the order of the file: what is to be written, and how.
class Plan {
 public:
  Plan(const Checkpoint& source, const Recipe& recipe)
      : source_(source), config_(source.config()), types_(apply_recipe(recipe, config_)) {
    for (const TensorType& tensor : types_) {
      if (tensor.key.role == TensorRole::lm_head && config_.tie_embeddings) continue;
      if (!detail::is_expert(tensor.key.role)) {
        declare(tensor, 1);
        add(tensor);
      } else if (tensor.key.expert == 0) {
        declare(tensor, config_.n_experts);
        add_experts(tensor);
      }
    }
  }

  std::vector<detail::GgufDeclaration> tensors;
  std::vector<detail::WeightJob> jobs;
  ConvertReport report;

 private:
  void declare(const TensorType& tensor, std::size_t n) {
    const auto [rows, cols] = detail::shape_of(tensor.key.role, config_);
    std::vector<std::size_t> shape = {rows, cols};
    if (detail::is_norm(tensor.key.role)) shape = {cols};
    if (detail::is_expert(tensor.key.role)) shape = {n, rows, cols};
    tensors.push_back({detail::gguf_name_of(tensor.key), tensor.type, std::move(shape)});
  }

  void add(const TensorType& tensor) {
    const auto [rows, cols] = detail::shape_of(tensor.key.role, config_);
    const WeightView target{nullptr, tensor.type, rows, cols};
    jobs.push_back({tensor.key, source_.tensor(tensor.key), target});
    detail::count(tensor, target, report);
  }

  void add_experts(const TensorType& first) {
    for (std::size_t e = 0; e < config_.n_experts; ++e) {
      const TensorKey key{first.key.role, first.key.layer, e};
      const TensorType& tensor = types_[detail::position_of(key, config_)];
      if (tensor.type != first.type) {
        throw Error(ErrorCode::invalid_argument,
                    "GGUF files hold all experts of a layer in one type: " + quote(name_of(first.key)) +
                        " is " + std::string(name_of(first.type)) + ", " + quote(name_of(key)) + " is " +
                        std::string(name_of(tensor.type)));
      }
      add(tensor);
    }
  }

  const Checkpoint& source_;
  const Config& config_;
  std::vector<TensorType> types_;  // in the order of visit_tensors
};

}  // namespace

ConvertReport convert_to_gguf(const Checkpoint& source, const std::filesystem::path& path,
                              const Recipe& recipe, const ConvertOptions& options, Executor& executor) {
  detail::check_target(path);
  const Plan plan(source, recipe);
  detail::GgufWriter writer(path, detail::describe_gguf(source, path.stem().string(), recipe), plan.tensors);
  detail::stream_weights(
      source, plan.jobs, RotaryOrder::interleaved,
      [&writer](std::span<const std::byte> bytes) { writer.append(bytes); }, options, executor);
  writer.commit();
  return plan.report;
}

}  // namespace mixtral

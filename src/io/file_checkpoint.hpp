// The one Checkpoint of all formats that store a model under names of their own: a format's reader finds
// each tensor and fills in the parts.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/model_description.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/mapped_file.hpp"

namespace mixtral::detail {

/// Where a tensor of the model comes from.
struct TensorSource {
  WeightView view;  ///< with data where the bytes lie in a file as they are
  StoredTensor stored;
  std::function<LoadedTensor()> decode = {};  ///< makes `view` with data; unset where it has them
};

struct CheckpointParts {
  ModelDescription description;
  RotaryOrder rotary_order = RotaryOrder::half_split;
  std::vector<TensorSource> tensors = {};                ///< in the order of visit_tensors
  std::vector<std::shared_ptr<const void>> owners = {};  ///< of the files, and what else tensors point to
  std::vector<const MappedFile*> files = {};             ///< to be watched for changes
  std::function<std::optional<std::string>(std::string_view name)> read_file = {};  ///< Checkpoint::file
  std::vector<std::pair<std::string, std::string>> metadata = {};                   ///< Checkpoint::metadata
};

class FileCheckpoint final : public Checkpoint {
 public:
  explicit FileCheckpoint(CheckpointParts parts) : parts_(std::move(parts)) {}

  const Config& config() const noexcept override { return parts_.description.config; }
  const GenerationDefaults& generation_defaults() const noexcept override {
    return parts_.description.defaults;
  }
  WeightView tensor(TensorKey key) const override { return source(key).view; }
  LoadedTensor load(TensorKey key) const override;
  StoredTensor stored(TensorKey key) const override { return source(key).stored; }
  RotaryOrder rotary_order() const noexcept override { return parts_.rotary_order; }
  std::optional<std::string> file(std::string_view name) const override {
    return parts_.read_file(name);
  }
  std::vector<std::pair<std::string, std::string>> metadata() const override { return parts_.metadata; }
  std::size_t weight_bytes() const noexcept override;
  void check_unchanged() const override;

 private:
  const TensorSource& source(const TensorKey& key) const;

  CheckpointParts parts_;
};

/// CheckpointParts::read_file for the files of a directory.
std::function<std::optional<std::string>(std::string_view)> files_in(std::filesystem::path directory);

}  // namespace mixtral::detail

#include "io/hf_checkpoint.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.hpp"
#include "core/message.hpp"
#include "io/file_checkpoint.hpp"
#include "io/file_status.hpp"
#include "io/hf_index.hpp"
#include "io/hf_quantisation.hpp"
#include "io/hf_quantised.hpp"
#include "io/hf_tensors.hpp"
#include "io/load_progress.hpp"
#include "io/model_tensors.hpp"
#include "io/tensor_table.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/safetensors.hpp"

namespace mixtral {
namespace {

namespace fs = std::filesystem;
using detail::HfQuantisation;
using detail::is_there;
using detail::NamedText;
using detail::quote;
using detail::report;
using detail::FileTensor;
using detail::TensorSource;
using detail::TensorTable;

using WeightMap = std::map<std::string, std::string>;  // tensor -> file

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

std::string read_json_file(const fs::path& path) {
  return read_text_file(path, detail::kMaxJsonBytes);
}

/// Opens `names` one after the other.
std::vector<SafetensorsFile> open_files(const fs::path& directory,
                                        const std::set<std::string>& names,
                                        const LoadCallback& on_progress) {
  std::vector<SafetensorsFile> files;
  report(on_progress, directory, {0, names.size()});
  for (const std::string& name : names) {
    files.emplace_back(directory / name);
    report(on_progress, directory, {files.size(), names.size()});
  }
  return files;
}

std::set<std::string> files_of(const WeightMap& weight_map) {
  std::set<std::string> names;
  for (const auto& [tensor, file] : weight_map) names.insert(file);
  return names;
}

/// Checks that the index and the shards agree on which tensor is where.
void check_index(const WeightMap& weight_map, const std::vector<SafetensorsFile>& files) {
  std::set<std::string> found;
  for (const SafetensorsFile& file : files) {
    for (const SafetensorsEntry& entry : file.header().tensors) {
      const auto listed = weight_map.find(entry.name);
      if (listed == weight_map.end() || listed->second != file.file().path().filename()) {
        throw Error(ErrorCode::format,
                    quote(file.file().path()) + ": tensor " + quote(entry.name) +
                        ": the index says that it is in " +
                        (listed == weight_map.end() ? "no file" : quote(listed->second)));
      }
      found.insert(entry.name);
    }
  }
  for (const auto& [tensor, file] : weight_map) {
    if (!found.contains(tensor)) {
      throw Error(ErrorCode::format, quote(file) + ": tensor " + quote(tensor) +
                                         ": the index lists it here, but the file hasn't got it");
    }
  }
}

std::vector<SafetensorsFile> open_weights(const fs::path& directory,
                                          const LoadCallback& on_progress) {
  if (is_there(directory / kSingleFile)) return open_files(directory, {kSingleFile}, on_progress);
  const fs::path index = directory / kIndexFile;
  if (!is_there(index)) {
    throw Error(ErrorCode::io, quote(directory) + ": expected " + kSingleFile + " or " +
                                   kIndexFile + " in this directory, found neither");
  }
  const WeightMap weight_map = detail::parse_hf_index(read_json_file(index), index.native());
  std::vector<SafetensorsFile> files = open_files(directory, files_of(weight_map), on_progress);
  check_index(weight_map, files);
  return files;
}

/// Takes the tensors of a model out of a table, whichever generation of names it has.
class ModelReader {
 public:
  ModelReader(const Config& config, const std::optional<HfQuantisation>& quantisation,
              TensorTable& table)
      : config_(config), quantisation_(quantisation), table_(table) {}

  /// Every tensor, in the order of visit_tensors.
  std::vector<TensorSource> read() {
    std::vector<TensorSource> sources;
    visit_tensors(config_, [&](const TensorKey& key) {
      if (key.role == TensorRole::lm_head && config_.tie_embeddings) {
        table_.tolerate(detail::hf_name_of(key));  // transformers ignores it, too
        sources.push_back(sources[detail::position_of({TensorRole::embedding}, config_)]);
      } else {
        sources.push_back(take(key));
      }
    });
    if (quantisation_) tolerate_cache_scales();
    table_.check_all_used();
    return sources;
  }

 private:
  TensorSource take(const TensorKey& key) {
    const bool in_moe = detail::is_expert(key.role) || key.role == TensorRole::router;
    if (in_moe && table_.contains(fused_prefix(key.layer) + kGateUp)) return take_fused(key);
    return take(key, detail::hf_name_of(key));
  }

  TensorSource take(const TensorKey& key, const std::string& name) {
    if (quantisation_ && !detail::is_norm(key.role) && key.role != TensorRole::embedding) {
      if (auto source = detail::take_quantised(*quantisation_, table_, name,
                                               detail::shape_of(key.role, config_))) {
        return *std::move(source);
      }
    }
    return take(name, detail::hf_shape_of(key.role, config_));
  }

  /// Scales for caches in 8 bits, which are of another type here.
  void tolerate_cache_scales() {
    for (std::size_t layer = 0; layer < config_.n_layers; ++layer) {
      for (const char* name : {"self_attn.k_scale", "self_attn.v_scale"}) {
        table_.tolerate(detail::hf_layer_prefix(layer) + name);
      }
    }
  }

  TensorSource take(const std::string& name, const std::vector<std::size_t>& shape) {
    const FileTensor& tensor = table_.take(name, shape);
    const WeightView view = detail::as_weight(tensor);
    return {view, {tensor.name, tensor.type, view.bytes()}};
  }

  TensorSource take_rows(const std::string& name, const detail::StackedRows& rows,
                         detail::MatrixShape shape) {
    if (quantisation_) {
      if (auto source = detail::take_quantised(*quantisation_, table_, name, rows, shape)) {
        return *std::move(source);
      }
    }
    TensorSource source = take(name, {rows.n_matrices, rows.matrix_rows, shape.cols});
    source.view = source.view.row_block(rows.matrix * rows.matrix_rows + rows.first_row, shape.rows);
    source.stored.bytes = source.view.bytes();
    return source;
  }

  /// As transformers 5 holds a layer's experts in memory: all of them in two tensors, each expert's
  /// gate rows above its up rows.
  TensorSource take_fused(const TensorKey& key) {
    const std::string prefix = fused_prefix(key.layer);
    if (key.role == TensorRole::router) return take(key, prefix + "gate.weight");
    const std::size_t n = config_.n_experts;
    const detail::MatrixShape shape = detail::shape_of(key.role, config_);
    if (key.role == TensorRole::expert_down) {
      return take_rows(prefix + "experts.down_proj", {n, shape.rows, key.expert, 0}, shape);
    }
    const std::size_t half = key.role == TensorRole::expert_gate ? 0 : 1;
    return take_rows(prefix + kGateUp, {n, 2 * shape.rows, key.expert, half * shape.rows}, shape);
  }

  static std::string fused_prefix(std::size_t layer) {
    return detail::hf_layer_prefix(layer) + "mlp.";
  }

  static constexpr const char* kGateUp = "experts.gate_up_proj";

  const Config& config_;
  const std::optional<HfQuantisation>& quantisation_;
  TensorTable& table_;
};

NamedText read_named(const fs::path& path) { return {path.native(), read_json_file(path)}; }

detail::ModelDescription describe(const fs::path& directory, const NamedText& config) {
  const fs::path generation = directory / "generation_config.json";
  std::optional<NamedText> generation_text;
  if (is_there(generation)) generation_text = read_named(generation);
  return detail::describe_model(config, generation_text);
}

}  // namespace

std::unique_ptr<Checkpoint> detail::open_hf_checkpoint(const fs::path& directory,
                                                       const LoadCallback& on_progress) {
  const NamedText config = read_named(directory / "config.json");
  detail::CheckpointParts parts{.description = describe(directory, config),
                                .read_file = detail::files_in(directory)};
  const auto quantisation = detail::parse_hf_quantisation(config.text, config.name);
  const auto files =
      std::make_shared<const std::vector<SafetensorsFile>>(open_weights(directory, on_progress));
  TensorTable table;
  for (const SafetensorsFile& file : *files) {
    table.add(detail::list_tensors(file));
    parts.files.push_back(&file.file());
  }
  try {
    parts.tensors = ModelReader(parts.description.config, quantisation, table).read();
  } catch (const Error& e) {
    throw Error(e.code(), quote(directory) + ": " + e.what());
  }
  parts.owners.push_back(files);
  return std::make_unique<detail::FileCheckpoint>(std::move(parts));
}

}  // namespace mixtral

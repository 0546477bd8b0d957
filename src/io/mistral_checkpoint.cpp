#include "io/mistral_checkpoint.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "core/json.hpp"
#include "core/message.hpp"
#include "io/decoded_tensor.hpp"
#include "io/file_checkpoint.hpp"
#include "io/file_status.hpp"
#include "io/load_progress.hpp"
#include "io/mistral_config.hpp"
#include "io/model_tensors.hpp"
#include "io/tensor_table.hpp"
#include "io/torch_file.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/hf_config.hpp"
#include "mixtral/io/safetensors.hpp"

namespace mixtral::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kParams = "params.json";
constexpr std::string_view kTokenizer = "tokenizer.model", kVersion = ".v";

/// By role; after the prefix of the layer, and for experts after that of the expert.
constexpr const char* kNames[] = {
    "tok_embeddings.weight",
    "norm.weight",
    "output.weight",
    "attention_norm.weight",
    "attention.wq.weight",
    "attention.wk.weight",
    "attention.wv.weight",
    "attention.wo.weight",
    "ffn_norm.weight",
    "gate.weight",
    "w1",
    "w3",
    "w2",
};

/// Names of the directory that begin and end like this, in their order.
std::set<std::string> find_files(const fs::path& directory, std::string_view begin,
                                 std::string_view end) {
  std::set<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), last; !error && entry != last;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.starts_with(begin) && name.ends_with(end)) names.insert(name);
  }
  if (error) throw Error(ErrorCode::io, quote(directory) + ": can't list it: " + error.message());
  return names;
}

/// "consolidated.safetensors", else its shards, else the files of torch: parts hold different tensors.
std::set<std::string> find_weights(const fs::path& directory) {
  constexpr const char* kSingle = "consolidated.safetensors";
  if (is_there(directory / kSingle)) return {kSingle};
  auto names = find_files(directory, "consolidated-", ".safetensors");
  if (names.empty()) names = find_files(directory, "consolidated.", ".pth");
  if (names.empty()) names = find_files(directory, "consolidated.", ".pt");
  if (names.empty()) {
    throw Error(ErrorCode::io,
                quote(directory) +
                    ": expected consolidated.safetensors, consolidated-00001-of-N.safetensors, "
                    "consolidated.00.pth or consolidated.00.pt beside params.json, found none");
  }
  return names;
}

/// The files of a checkpoint and their tensors.
class WeightFiles {
 public:
  WeightFiles(const fs::path& directory, const LoadCallback& on_progress) {
    const std::set<std::string> names = find_weights(directory);
    std::size_t done = 0;
    report(on_progress, directory, {done, names.size()});
    for (const std::string& name : names) {
      open(directory / name);
      report(on_progress, directory, {++done, names.size()});
    }
  }

  TensorTable& table() noexcept { return table_; }

  void hand_over(CheckpointParts& parts) {
    parts.owners.insert(parts.owners.end(), owners_.begin(), owners_.end());
    parts.files = std::move(files_);
  }

 private:
  void open(const fs::path& path) {
    if (path.extension() == ".safetensors") {
      const auto file = std::make_shared<const SafetensorsFile>(path);
      table_.add(list_tensors(*file));
      files_.push_back(&file->file());
      owners_.push_back(file);
    } else {
      const auto file = std::make_shared<const MappedFile>(path);
      table_.add(list_torch_tensors(*file));
      files_.push_back(file.get());
      owners_.push_back(file);
    }
  }

  TensorTable table_;
  std::vector<std::shared_ptr<const void>> owners_;
  std::vector<const MappedFile*> files_;
};

StridedMatrix as_strided(const FileTensor& tensor) {
  const bool is_vector = tensor.shape.size() == 1;
  if (!tensor.dtype) as_weight(tensor);  // throws
  return {tensor.bytes.data(),
          *tensor.dtype,
          is_vector ? 1 : tensor.shape[0],
          tensor.shape.back(),
          is_vector ? 0 : tensor.strides.empty() ? tensor.shape[1] : tensor.strides[0],
          tensor.strides.empty() ? 1 : tensor.strides.back()};
}

/// A matrix that is a part of `tensor`, in rows of its own if it isn't in the file.
TensorSource source_of(const FileTensor& tensor, const StridedMatrix& matrix) {
  WeightView view{matrix.data, matrix.dtype, matrix.rows, matrix.cols};
  const StoredTensor stored{tensor.name, tensor.type, view.bytes()};
  if (matrix.col_stride == 1 && (matrix.rows == 1 || matrix.row_stride == matrix.cols)) {
    return {view, stored};
  }
  view.data = nullptr;
  return {view, stored, [matrix] { return gather(matrix); }};
}

/// Takes the tensors of a model out of a table, whichever of Mistral's two sets of names it has.
class ModelReader {
 public:
  ModelReader(const Config& config, TensorTable& table) : config_(config), table_(table) {}

  /// Every tensor, in the order of visit_tensors.
  std::vector<TensorSource> read() {
    std::vector<TensorSource> sources;
    visit_tensors(config_, [&](const TensorKey& key) { sources.push_back(take(key)); });
    table_.check_all_used();
    return sources;
  }

 private:
  TensorSource take(const TensorKey& key) {
    const auto [rows, cols] = shape_of(key.role, config_);
    const std::string name = kNames[static_cast<std::size_t>(key.role)];
    if (is_global(key.role) || is_norm(key.role)) {
      const std::string prefix = is_global(key.role) ? "" : layer_prefix(key.layer);
      return take(prefix + name, is_norm(key.role) ? std::vector{cols} : std::vector{rows, cols});
    }
    const std::string layer = layer_prefix(key.layer);
    const std::string stacked = layer + "block_sparse_moe.";
    if (is_expert(key.role) && table_.contains(stacked + name)) {
      return take_stacked(stacked + name, key);
    }
    if (is_expert(key.role)) {
      return take(layer + "feed_forward.experts." + std::to_string(key.expert) + "." + name + ".weight",
                  {rows, cols});
    }
    if (key.role == TensorRole::router) {
      const bool is_stacked = table_.contains(stacked + name);
      return take((is_stacked ? stacked : layer + "feed_forward.") + name, {rows, cols});
    }
    return take(layer + name, {rows, cols});
  }

  TensorSource take(const std::string& name, const std::vector<std::size_t>& shape) {
    const FileTensor& tensor = table_.take(name, shape);
    return source_of(tensor, as_strided(tensor));
  }

  /// One of all experts' [ffn, hidden] matrices on top of each other: w2 as its transpose.
  TensorSource take_stacked(const std::string& name, const TensorKey& key) {
    const FileTensor& tensor = table_.take(name, {config_.n_experts * config_.ffn, config_.hidden});
    StridedMatrix matrix = as_strided(tensor);
    matrix.data += key.expert * config_.ffn * matrix.row_stride * size_of(matrix.dtype);
    matrix.rows = config_.ffn;
    if (key.role == TensorRole::expert_down) {
      std::swap(matrix.rows, matrix.cols);
      std::swap(matrix.row_stride, matrix.col_stride);
    }
    return source_of(tensor, matrix);
  }

  static std::string layer_prefix(std::size_t layer) {
    return "layers." + std::to_string(layer) + ".";
  }

  const Config& config_;
  TensorTable& table_;
};

/// "tokenizer.model.v3" -> 3
std::optional<unsigned> tokenizer_version(std::string_view name) {
  name.remove_prefix(kTokenizer.size() + kVersion.size());
  unsigned version = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), version);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return version;
}

/// The files of `directory`, and what a Hugging Face directory would say in those that Mistral hasn't.
std::function<std::optional<std::string>(std::string_view)> model_files(const fs::path& directory,
                                                                        const Config& config,
                                                                        DType dtype) {
  return [in_directory = files_in(directory), tokenizer = mistral_tokenizer_name(directory), config,
          dtype](std::string_view name) -> std::optional<std::string> {
    if (name == "config.json") return to_hf_config_json(config, dtype);
    if (name == "generation_config.json") return to_hf_generation_config_json(config);
    return in_directory(name == kTokenizer ? tokenizer : name);
  };
}

}  // namespace

std::string mistral_tokenizer_name(const fs::path& directory) {
  std::string newest(kTokenizer);
  unsigned newest_version = 0;
  for (const std::string& name : find_files(directory, std::string(kTokenizer) + std::string(kVersion), "")) {
    const auto version = tokenizer_version(name);
    if (!version || *version < newest_version) continue;
    newest = name;
    newest_version = *version;
  }
  return newest;
}

bool is_mistral_checkpoint(const fs::path& directory) {
  return is_there(directory / kParams) && !is_there(directory / "model.safetensors") &&
         !is_there(directory / "model.safetensors.index.json");
}

std::unique_ptr<Checkpoint> open_mistral_checkpoint(const fs::path& directory,
                                                    const LoadCallback& on_progress) {
  const fs::path params = directory / kParams;
  CheckpointParts parts{
      .description = {parse_mistral_params(read_text_file(params, kMaxJsonBytes), params.native()), {}},
      .rotary_order = RotaryOrder::interleaved};
  const Config& config = parts.description.config;
  WeightFiles weights(directory, on_progress);
  try {
    parts.tensors = ModelReader(config, weights.table()).read();
  } catch (const Error& e) {
    throw Error(e.code(), quote(directory) + ": " + e.what());
  }
  parts.read_file = model_files(directory, config, parts.tensors[0].view.dtype);
  weights.hand_over(parts);
  return std::make_unique<FileCheckpoint>(std::move(parts));
}

}  // namespace mixtral::detail

// Hugging Face model directories: config.json and safetensors, whole or in shards.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/json.hpp"
#include "core/message.hpp"
#include "io/hf_index.hpp"
#include "io/tensor_table.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/hf_config.hpp"
#include "mixtral/io/safetensors.hpp"

namespace mixtral {
namespace {

namespace fs = std::filesystem;
using detail::quote;
using detail::TensorTable;

using WeightMap = std::map<std::string, std::string>;  // tensor -> file

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

/// True when something of this name exists. Throws Error(io) when that can't be known.
bool is_there(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::none) {
    throw Error(ErrorCode::io, quote(path) + ": can't look it up: " + error.message());
  }
  return fs::exists(status);
}

void check_is_directory(const fs::path& path) {
  std::error_code error;
  if (is_there(path) && fs::is_directory(path, error)) return;
  throw Error(ErrorCode::io,
              quote(path) + ": expected a Hugging Face model directory (config.json with " +
                  kSingleFile + " or " + kIndexFile + "), found " +
                  (is_there(path) ? "something that is no directory" : "nothing of that name"));
}

std::string read_json_file(const fs::path& path) {
  return read_text_file(path, detail::kMaxJsonBytes);
}

void report(const LoadCallback& on_progress, const fs::path& directory, LoadProgress progress) {
  if (on_progress && !on_progress(progress)) {
    throw Error(ErrorCode::cancelled, quote(directory) + ": loading was cancelled");
  }
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

// ---- the names of the tensors, and the order in which HfCheckpoint keeps their views

constexpr std::size_t kGlobals = 3;       // embedding, final_norm, lm_head
constexpr std::size_t kPerLayer = 7;      // attention_norm .. router
constexpr std::size_t kPerExpert = 3;     // expert_gate, expert_down, expert_up

std::size_t index_of(const TensorKey& key, const Config& config) {
  const auto role = static_cast<std::size_t>(key.role);
  if (role < kGlobals) return role;
  const bool is_expert = key.role >= TensorRole::expert_gate;
  if (key.layer >= config.n_layers || (is_expert && key.expert >= config.n_experts)) {
    throw Error(ErrorCode::invalid_argument,
                "tensor of layer " + std::to_string(key.layer) + ", expert " +
                    std::to_string(key.expert) + ": the model has " +
                    std::to_string(config.n_layers) + " layers of " +
                    std::to_string(config.n_experts) + " experts");
  }
  const std::size_t layer =
      kGlobals + key.layer * (kPerLayer + config.n_experts * kPerExpert);
  if (!is_expert) return layer + role - kGlobals;
  return layer + kPerLayer + key.expert * kPerExpert + role - (kGlobals + kPerLayer);
}

/// The experts of one layer as transformers 4 names them: a tensor for each matrix.
void take_experts(TensorTable& table, const Config& c, const std::string& moe,
                  std::vector<WeightView>& views) {
  for (std::size_t e = 0; e < c.n_experts; ++e) {
    const std::string expert = moe + "experts." + std::to_string(e) + ".";
    views.push_back(table.take(expert + "w1.weight", {c.ffn, c.hidden}));
    views.push_back(table.take(expert + "w2.weight", {c.hidden, c.ffn}));
    views.push_back(table.take(expert + "w3.weight", {c.ffn, c.hidden}));
  }
}

/// As transformers 5 holds them in memory: all experts in two tensors, gate above up.
void take_fused_experts(TensorTable& table, const Config& c, const std::string& moe,
                        std::vector<WeightView>& views) {
  const WeightView gate_up =
      table.take(moe + "experts.gate_up_proj", {c.n_experts, 2 * c.ffn, c.hidden});
  const WeightView down = table.take(moe + "experts.down_proj", {c.n_experts, c.hidden, c.ffn});
  for (std::size_t e = 0; e < c.n_experts; ++e) {
    views.push_back(gate_up.row_block(2 * e * c.ffn, c.ffn));
    views.push_back(down.row_block(e * c.hidden, c.hidden));
    views.push_back(gate_up.row_block((2 * e + 1) * c.ffn, c.ffn));
  }
}

void take_layer(TensorTable& table, const Config& c, std::size_t index,
                std::vector<WeightView>& views) {
  const std::string layer = "model.layers." + std::to_string(index) + ".";
  const std::string attention = layer + "self_attn.";
  const bool fused = table.contains(layer + "mlp.experts.gate_up_proj");
  const std::string moe = layer + (fused ? "mlp." : "block_sparse_moe.");
  views.push_back(table.take(layer + "input_layernorm.weight", {c.hidden}));
  views.push_back(table.take(attention + "q_proj.weight", {c.q_dim(), c.hidden}));
  views.push_back(table.take(attention + "k_proj.weight", {c.kv_dim(), c.hidden}));
  views.push_back(table.take(attention + "v_proj.weight", {c.kv_dim(), c.hidden}));
  views.push_back(table.take(attention + "o_proj.weight", {c.hidden, c.q_dim()}));
  views.push_back(table.take(layer + "post_attention_layernorm.weight", {c.hidden}));
  views.push_back(table.take(moe + "gate.weight", {c.n_experts, c.hidden}));
  (fused ? take_fused_experts : take_experts)(table, c, moe, views);
}

/// Every tensor of the model, in the order of index_of.
std::vector<WeightView> take_model(TensorTable& table, const Config& c) {
  constexpr const char* kLmHead = "lm_head.weight";
  std::vector<WeightView> views;
  views.push_back(table.take("model.embed_tokens.weight", {c.vocab, c.hidden}));
  views.push_back(table.take("model.norm.weight", {c.hidden}));
  if (c.tie_embeddings) {
    views.push_back(views[0]);
    table.tolerate(kLmHead);  // transformers ignores it, too
  } else {
    views.push_back(table.take(kLmHead, {c.vocab, c.hidden}));
  }
  for (std::size_t layer = 0; layer < c.n_layers; ++layer) take_layer(table, c, layer, views);
  table.check_all_used();
  return views;
}

class HfCheckpoint final : public Checkpoint {
 public:
  HfCheckpoint(const fs::path& directory, const LoadCallback& on_progress) {
    const fs::path config_path = directory / "config.json";
    config_ = parse_hf_config(read_json_file(config_path), config_path.native());
    read_generation_config(directory / "generation_config.json");
    files_ = open_weights(directory, on_progress);
    TensorTable table;
    for (const SafetensorsFile& file : files_) table.add(file);
    try {
      views_ = take_model(table, config_);
    } catch (const Error& e) {
      throw Error(e.code(), quote(directory) + ": " + e.what());
    }
  }

  const Config& config() const noexcept override { return config_; }
  const GenerationDefaults& generation_defaults() const noexcept override { return defaults_; }
  WeightView tensor(TensorKey key) const override { return views_[index_of(key, config_)]; }

  std::size_t weight_bytes() const noexcept override {
    std::size_t bytes = 0;
    for (const WeightView& view : views_) bytes += view.bytes();
    return config_.tie_embeddings ? bytes - views_[0].bytes() : bytes;
  }

  void check_unchanged() const override {
    for (const SafetensorsFile& file : files_) file.file().check_unchanged();
  }

 private:
  void read_generation_config(const fs::path& path) {
    if (!is_there(path)) return;
    HfGenerationConfig generation = parse_hf_generation_config(read_json_file(path), path.native());
    defaults_ = generation.defaults;
    if (!generation.eos_ids) return;
    config_.eos_ids = std::move(*generation.eos_ids);
    try {
      validate(config_);
    } catch (const Error& e) {
      throw Error(ErrorCode::format, quote(path) + ": " + e.what());
    }
  }

  Config config_;
  GenerationDefaults defaults_;
  std::vector<SafetensorsFile> files_;
  std::vector<WeightView> views_;
};

}  // namespace

std::unique_ptr<Checkpoint> open_checkpoint(const fs::path& path, const LoadCallback& on_progress) {
  check_is_directory(path);
  return std::make_unique<HfCheckpoint>(path, on_progress);
}

}  // namespace mixtral

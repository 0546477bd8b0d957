#include "io/gguf_checkpoint.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "core/message.hpp"
#include "io/file_checkpoint.hpp"
#include "io/gguf_keys.hpp"
#include "io/gguf_tensors.hpp"
#include "io/gguf_tokenizer.hpp"
#include "io/load_progress.hpp"
#include "io/model_tensors.hpp"
#include "io/tensor_table.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/hf_config.hpp"
#include "mixtral/quant/convert.hpp"

namespace mixtral::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGenerationConfig = "generation_config.json";
constexpr const char* kSplitNumber = "split.no";
constexpr const char* kSplitCount = "split.count";
constexpr const char* kSplitTensors = "split.tensors.count";

std::size_t split_count(const GgufFile& file) {
  return file.header().metadata.size(kSplitCount).value_or(1);
}

std::size_t split_number(const GgufFile& file) {
  return file.header().metadata.size(kSplitNumber).value_or(0);
}

/// "-00001-of-00003.gguf"
std::string split_suffix(std::size_t number, std::size_t count) {
  char text[64];
  std::snprintf(text, sizeof text, "-%05zu-of-%05zu.gguf", number + 1, count);
  return text;
}

void check_part(const GgufFile& file, std::size_t number, std::size_t count) {
  if (split_number(file) == number && split_count(file) == count) return;
  throw Error(ErrorCode::format, quote(file.file().path()) + ": expected part " +
                                     std::to_string(number + 1) + " of " + std::to_string(count) +
                                     ", the metadata say " + std::to_string(split_number(file) + 1) +
                                     " of " + std::to_string(split_count(file)));
}

/// All files of the model that `path` is a part of, in order.
std::vector<GgufFile> open_files(const fs::path& path, const LoadCallback& on_progress) {
  std::vector<GgufFile> files;
  files.emplace_back(path);
  const std::size_t count = split_count(files[0]);
  if (count <= 1) return files;
  const std::string name = path.filename().string();
  const std::string suffix = split_suffix(split_number(files[0]), count);
  if (!name.ends_with(suffix)) {
    throw Error(ErrorCode::format, quote(path) + ": a part of a split model: expected a name that ends with \"" +
                                       suffix + "\"");
  }
  const std::string prefix = name.substr(0, name.size() - suffix.size());
  files.clear();
  for (std::size_t i = 0; i < count; ++i) {
    report(on_progress, path, {i, count});
    files.emplace_back(path.parent_path() / (prefix + split_suffix(i, count)));
    check_part(files.back(), i, count);
  }
  return files;
}

void check_tensor_count(const std::vector<GgufFile>& files) {
  const auto expected = files[0].header().metadata.size(kSplitTensors);
  if (files.size() == 1 || !expected) return;
  std::size_t found = 0;
  for (const GgufFile& file : files) found += file.header().tensors.size();
  if (found == *expected) return;
  throw Error(ErrorCode::format, quote(files[0].file().path()) + ": key \"" + kSplitTensors +
                                     "\": expected " + std::to_string(*expected) +
                                     " tensors in all parts, found " + std::to_string(found));
}

/// The rows as f32: what norms and routers are read as, and some old files quantise them.
TensorSource widened(const FileTensor& tensor, TensorSource source) {
  const WeightView stored = source.view;
  source.view = {nullptr, DType::f32, stored.rows, stored.cols};
  source.decode = [stored, view = source.view, file = tensor.file] {
    const auto values = std::make_shared<AlignedBuffer<float>>(view.rows * view.cols);
    file->check_unchanged();
    quant::dequantise(stored.dtype, stored.data, values->span());
    LoadedTensor loaded{view, values};
    loaded.view.data = reinterpret_cast<const std::byte*>(values->data());
    return loaded;
  };
  return source;
}

/// Takes the tensors of a model out of a table, whichever way they are put together.
class ModelReader {
 public:
  ModelReader(const Config& config, TensorTable& table) : config_(config), table_(table) {}

  /// Every tensor, in the order of visit_tensors.
  std::vector<TensorSource> read() {
    std::vector<TensorSource> sources;
    visit_tensors(config_, [&](const TensorKey& key) {
      const bool is_tied = key.role == TensorRole::lm_head && config_.tie_embeddings;
      sources.push_back(is_tied ? sources[position_of({TensorRole::embedding}, config_)] : take(key));
    });
    table_.check_all_used();
    return sources;
  }

 private:
  static constexpr const char* kQkv = "attn_qkv.weight";
  static constexpr const char* kGateUp = "ffn_gate_up_exps.weight";

  TensorSource take(const TensorKey& key) {
    const auto [rows, cols] = shape_of(key.role, config_);
    if (is_norm(key.role)) return take_rows(key, gguf_name_of(key), {cols}, 0, 1);
    if (is_expert(key.role)) return take_expert(key, rows, cols);
    const std::string qkv = gguf_layer_prefix(key.layer) + kQkv;
    const bool is_qkv = key.role == TensorRole::query || key.role == TensorRole::key ||
                        key.role == TensorRole::value;
    if (is_qkv && table_.contains(qkv)) {
      const std::size_t first = key.role == TensorRole::query ? 0
                                : key.role == TensorRole::key ? config_.q_dim()
                                                              : config_.q_dim() + config_.kv_dim();
      return take_rows(key, qkv, {config_.q_dim() + 2 * config_.kv_dim(), cols}, first, rows);
    }
    return take_rows(key, gguf_name_of(key), {rows, cols}, 0, rows);
  }

  TensorSource take_expert(const TensorKey& key, std::size_t rows, std::size_t cols) {
    const std::size_t n = config_.n_experts;
    if (table_.contains(gguf_expert_name_of(key))) {
      return take_rows(key, gguf_expert_name_of(key), {rows, cols}, 0, rows);
    }
    const std::string gate_up = gguf_layer_prefix(key.layer) + kGateUp;
    if (key.role != TensorRole::expert_down && table_.contains(gate_up)) {
      const std::size_t half = key.role == TensorRole::expert_gate ? 0 : 1;
      return take_rows(key, gate_up, {n, 2 * rows, cols}, (2 * key.expert + half) * rows, rows);
    }
    return take_rows(key, gguf_name_of(key), {n, rows, cols}, key.expert * rows, rows);
  }

  TensorSource take_rows(const TensorKey& key, const std::string& name,
                         const std::vector<std::size_t>& shape, std::size_t first, std::size_t count) {
    const FileTensor& tensor = table_.take(name, shape);
    if (!tensor.dtype) {
      throw Error(ErrorCode::unsupported,
                  where(tensor) + "type " + tensor.type + " can't be read" +
                      (tensor.type.starts_with("IQ") ? ": its values come from tables that are llama.cpp's own"
                                                     : "") +
                      "; take a file of another type, such as Q2_K or IQ4_XS, or make one with "
                      "`llama-quantize --allow-requantize IN.gguf OUT.gguf Q8_0`");
    }
    if (const std::string scale = scale_name_of(name); table_.contains(scale)) {
      throw Error(ErrorCode::unsupported,
                  where(tensor) + "it has a scale of its own, tensor " + quote(scale) +
                      ", which can't be read; convert the original model to a type without, such as Q8_0");
    }
    const WeightView view = as_weight(tensor).row_block(first, count);
    TensorSource source{view, {tensor.name, tensor.type, view.bytes()}};
    const bool is_plain = is_norm(key.role) || key.role == TensorRole::router;
    return is_plain && is_quantised(view.dtype) ? widened(tensor, std::move(source)) : source;
  }

  /// "x.weight" -> "x.scale": of the whole tensor, as some NVFP4 models have it.
  static std::string scale_name_of(const std::string& name) {
    return name.substr(0, name.rfind('.')) + ".scale";
  }

  const Config& config_;
  TensorTable& table_;
};

/// The keys of the architecture, and what they mean here.
class ConfigReader {
 public:
  explicit ConfigReader(const GgufMetadata& metadata) : metadata_(metadata) {}

  Config read(bool is_tied) const {
    check_architecture();
    Config config;
    config.n_layers = required("llama.block_count");
    config.hidden = required("llama.embedding_length");
    config.ffn = required("llama.feed_forward_length");
    config.n_heads = required("llama.attention.head_count");
    config.n_kv_heads = metadata_.size("llama.attention.head_count_kv").value_or(config.n_heads);
    config.head_dim = head_dim(config);
    config.n_experts = required("llama.expert_count");
    config.top_k = required("llama.expert_used_count");
    config.vocab = vocab();
    config.max_position = required("llama.context_length");
    config.rope_theta = metadata_.number("llama.rope.freq_base").value_or(10000);
    config.rms_norm_eps = metadata_.number("llama.attention.layer_norm_rms_epsilon").value_or(1e-5);
    config.sliding_window = metadata_.size("llama.attention.sliding_window");
    config.tie_embeddings = is_tied;
    config.bos_id = static_cast<TokenId>(metadata_.size("tokenizer.ggml.bos_token_id").value_or(1));
    config.eos_ids = eos_ids(config);
    check_rope(config);
    try {
      validate(config);
    } catch (const Error& e) {
      throw Error(ErrorCode::format, quote(metadata_.file()) + ": " + e.what());
    }
    return config;
  }

 private:
  void check_architecture() const {
    constexpr const char* kKey = "general.architecture";
    const std::string_view found = metadata_.string(kKey).value_or("");
    if (found != "llama") {
      metadata_.fail(ErrorCode::unsupported, kKey, "expected \"llama\", as Mixtral models have it, found " +
                                                       quote(found));
    }
    if (metadata_.size("llama.expert_count").value_or(0) == 0) {
      metadata_.fail(ErrorCode::unsupported, "llama.expert_count",
                     "expected a model with experts, found one without");
    }
  }

  std::size_t required(const std::string& key) const {
    if (const auto value = metadata_.size(key)) return *value;
    metadata_.fail(ErrorCode::format, key, "it is missing");
  }

  std::size_t head_dim(const Config& config) const {
    if (const auto stated = metadata_.size("llama.attention.key_length")) return *stated;
    if (config.n_heads == 0 || config.hidden % config.n_heads != 0) {
      metadata_.fail(ErrorCode::format, "llama.attention.head_count",
                     "expected a divisor of the embedding's " + std::to_string(config.hidden) +
                         ", found " + std::to_string(config.n_heads));
    }
    return config.hidden / config.n_heads;
  }

  std::size_t vocab() const {
    if (const auto stated = metadata_.size("llama.vocab_size")) return *stated;
    if (const auto tokens = metadata_.strings("tokenizer.ggml.tokens")) return tokens->size();
    metadata_.fail(ErrorCode::format, "llama.vocab_size", "it is missing, and so is the vocabulary");
  }

  /// Some files have ids outside the vocabulary for ends that they haven't got.
  std::vector<TokenId> eos_ids(const Config& config) const {
    std::vector<TokenId> ids = {static_cast<TokenId>(metadata_.size(kGgufEndKeys[0]).value_or(2))};
    for (const char* key : std::span(kGgufEndKeys).subspan(1)) {
      const auto id = metadata_.size(key);
      if (!id || *id >= config.vocab) continue;
      if (std::find(ids.begin(), ids.end(), static_cast<TokenId>(*id)) != ids.end()) continue;
      ids.push_back(static_cast<TokenId>(*id));
    }
    return ids;
  }

  void check_rope(const Config& config) const {
    check_is("llama.rope.dimension_count", config.head_dim);
    check_is("llama.attention.value_length", config.head_dim);
    const std::string_view scaling = metadata_.string("llama.rope.scaling.type").value_or("none");
    if (scaling != "none") {
      metadata_.fail(ErrorCode::unsupported, "llama.rope.scaling.type",
                     "expected \"none\", found " + quote(scaling));
    }
    const char* kScale = "llama.rope.scale_linear";
    if (metadata_.number(kScale).value_or(1) != 1) {
      metadata_.fail(ErrorCode::unsupported, kScale, "expected 1");
    }
  }

  void check_is(const std::string& key, std::size_t expected) const {
    const std::size_t found = metadata_.size(key).value_or(expected);
    if (found == expected) return;
    metadata_.fail(ErrorCode::unsupported, key, "expected the width of a head, " +
                                                    std::to_string(expected) + ", found " +
                                                    std::to_string(found));
  }

  const GgufMetadata& metadata_;
};

/// Temperature 0 stands for no sampling, as in llama.cpp.
GenerationDefaults generation_defaults(const GgufMetadata& metadata) {
  GenerationDefaults defaults;
  defaults.temperature = metadata.number(kGgufTemperature);
  if (const auto top_k = metadata.number(kGgufTopK)) {
    defaults.top_k = *top_k > 0 ? static_cast<std::size_t>(std::min(*top_k, 1e9)) : 0;  // 0, as -1: all
  }
  defaults.top_p = metadata.number(kGgufTopP);
  defaults.min_p = metadata.number(kGgufMinP);
  defaults.repetition_penalty = metadata.number(kGgufRepetitionPenalty);
  if (defaults.temperature || defaults.top_k || defaults.top_p || defaults.min_p) {
    defaults.do_sample = defaults.temperature != 0;
  }
  if (defaults.temperature == 0) defaults.temperature.reset();
  return defaults;
}

std::optional<std::string> model_file(const GgufMetadata& metadata, const Config& config,
                                      std::string_view name) {
  if (name == "config.json") return to_hf_config_json(config, DType::bf16);
  if (name == kGenerationConfig) return to_hf_generation_config_json(config, generation_defaults(metadata));
  if (name == "tokenizer.model") return gguf_tokenizer_model(metadata);
  if (name == "tokenizer_config.json") return gguf_tokenizer_config(metadata);
  return std::nullopt;
}

}  // namespace

Config gguf_config(const GgufMetadata& metadata, bool is_tied) {
  return ConfigReader(metadata).read(is_tied);
}

std::unique_ptr<Checkpoint> open_gguf_checkpoint(const fs::path& path, const LoadCallback& on_progress) {
  report(on_progress, path, {0, 1});
  const auto files = std::make_shared<const std::vector<GgufFile>>(open_files(path, on_progress));
  check_tensor_count(*files);
  CheckpointParts parts{};
  parts.rotary_order = RotaryOrder::interleaved;
  TensorTable table;
  for (const GgufFile& file : *files) {
    table.add(list_tensors(file));
    parts.files.push_back(&file.file());
  }
  const GgufMetadata& metadata = files->front().header().metadata;
  const bool is_tied = !table.contains(gguf_name_of(TensorRole::lm_head));
  parts.description.config = gguf_config(metadata, is_tied);
  parts.description.defaults =
      parse_hf_generation_config(*model_file(metadata, parts.description.config, kGenerationConfig), metadata.file())
          .defaults;  // checks their ranges
  try {
    parts.tensors = ModelReader(parts.description.config, table).read();
  } catch (const Error& e) {
    throw Error(e.code(), quote(path) + ": " + e.what());
  }
  parts.read_file = [&metadata, config = parts.description.config](std::string_view name) {
    return model_file(metadata, config, name);
  };
  for (const auto& [key, value] : metadata.values()) parts.metadata.emplace_back(key, describe(value));
  parts.owners.push_back(files);
  report(on_progress, path, {1, 1});
  return std::make_unique<FileCheckpoint>(std::move(parts));
}

std::optional<fs::path> find_gguf_model(const fs::path& directory) {
  std::optional<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (!entry.is_regular_file() || !is_gguf_file(entry.path())) continue;
    if (split_number(GgufFile(entry.path())) != 0) continue;
    if (found) {
      throw Error(ErrorCode::invalid_argument, quote(directory) + ": several GGUF models, such as " +
                                                   quote(found->filename()) + " and " +
                                                   quote(entry.path().filename()) + ": name one");
    }
    found = entry.path();
  }
  return found;
}

}  // namespace mixtral::detail

#include "mixtral/io/hf_writer.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.hpp"
#include "io/file_status.hpp"
#include "io/hf_weights_writer.hpp"
#include "io/model_tensors.hpp"
#include "io/temporary_directory.hpp"
#include "io/weight_stream.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/hf_config.hpp"

namespace mixtral {
namespace {

namespace fs = std::filesystem;
using detail::HfTensor;
using nlohmann::json;

/// Taken over as they are, where the source has them.
constexpr std::string_view kTokenizerFiles[] = {
    "tokenizer.model",         "tokenizer.json",      "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json",   "chat_template.jinja",
};

DType choose_dtype(const Checkpoint& source, const HfOptions& options) {
  const DType stored = source.tensor({TensorRole::embedding}).dtype;
  const DType dtype = options.dtype.value_or(is_quantised(stored) ? DType::bf16 : stored);
  if (is_quantised(dtype)) {
    throw Error(ErrorCode::invalid_argument,
                "a Hugging Face directory: expected f32, f16 or bf16, found " +
                    std::string(name_of(dtype)));
  }
  return dtype;
}

/// The source's own config.json, with the type of the new weights.
std::string config_json(const Checkpoint& source, DType dtype) {
  const std::string plain = to_hf_config_json(source.config(), dtype);
  const auto text = source.file("config.json");
  if (!text) return plain;
  json config = detail::parse_json_object(*text, "config.json");
  for (const char* key : {"quantization_config", "compression_config", "torch_dtype"}) {
    config.erase(key);
  }
  const char* key = config.contains("dtype") ? "dtype" : "torch_dtype";  // transformers 5 or 4
  config[key] = json::parse(plain).at("torch_dtype");
  return config.dump(2) + "\n";
}

/// What the published models say of their tokenizer, for sources that have nothing but the tokenizer.
json default_tokenizer_config() {
  const auto special = [](const char* content) -> json {
    return {{"content", content},     {"lstrip", false}, {"normalized", false},
            {"rstrip", false},        {"single_word", false}, {"special", true}};
  };
  return {{"tokenizer_class", "LlamaTokenizer"},
          {"add_bos_token", true},
          {"add_eos_token", false},
          {"bos_token", "<s>"},
          {"eos_token", "</s>"},
          {"unk_token", "<unk>"},
          {"added_tokens_decoder",
           {{"0", special("<unk>")}, {"1", special("<s>")}, {"2", special("</s>")}}},
          {"clean_up_tokenization_spaces", false},
          {"legacy", true}};
}

void write_files(const Checkpoint& source, DType dtype, const fs::path& directory) {
  detail::write_text(directory / "config.json", config_json(source, dtype));
  detail::write_text(directory / "generation_config.json",
                     source.file("generation_config.json")
                         .value_or(to_hf_generation_config_json(source.config(), source.generation_defaults())));
  bool has_tokenizer = false;
  for (const std::string_view name : kTokenizerFiles) {
    const auto text = source.file(name);
    if (!text) continue;
    detail::write_text(directory / name, *text);
    has_tokenizer = true;
  }
  if (has_tokenizer && !source.file("tokenizer_config.json")) {
    detail::write_text(directory / "tokenizer_config.json", default_tokenizer_config().dump(2) + "\n");
  }
}

}  // namespace

ConvertReport write_hf_checkpoint(const Checkpoint& source, const fs::path& directory,
                                  const HfOptions& options, Executor& executor) {
  const DType dtype = choose_dtype(source, options);
  const std::vector<HfTensor> tensors = detail::hf_tensors_of(source.config(), dtype);
  ConvertReport report{.weight_bytes = detail::bytes_of(tensors)};
  report.n_weights = report.weight_bytes / size_of(dtype);
  std::vector<detail::WeightJob> jobs;
  for (const HfTensor& tensor : tensors) {
    const auto [rows, cols] = detail::shape_of(tensor.key.role, source.config());
    jobs.push_back({tensor.key, source.tensor(tensor.key), {nullptr, dtype, rows, cols}});
  }
  detail::TemporaryDirectory target(directory);
  detail::check_disk_space(target.path().parent_path(), report.weight_bytes);
  write_files(source, dtype, target.path());
  detail::HfWeightsWriter writer(target.path(), tensors, dtype, options.max_shard_bytes);
  detail::stream_weights(
      source, jobs, RotaryOrder::half_split,
      [&writer](std::span<const std::byte> bytes) { writer.append(bytes); }, {options.on_progress},
      executor);
  writer.commit();
  target.commit();
  return report;
}

}  // namespace mixtral

// mixtral info: what a model is and what it needs.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/generate/context.hpp"
#include "options.hpp"
#include "weights.hpp"

namespace mixtral::cli {
namespace {

struct InfoOptions {
  ModelOptions model;
  bool json = false;
};

Json describe(const Config& c) {
  return {{"n_layers", c.n_layers},
          {"hidden", c.hidden},
          {"ffn", c.ffn},
          {"n_heads", c.n_heads},
          {"n_kv_heads", c.n_kv_heads},
          {"head_dim", c.head_dim},
          {"n_experts", c.n_experts},
          {"top_k", c.top_k},
          {"vocab", c.vocab},
          {"max_position", c.max_position},
          {"rope_theta", c.rope_theta},
          {"rms_norm_eps", c.rms_norm_eps},
          {"sliding_window", c.sliding_window ? Json(*c.sliding_window) : Json()},
          {"tie_embeddings", c.tie_embeddings},
          {"bos_id", c.bos_id},
          {"eos_ids", c.eos_ids}};
}

Json describe(const WeightCensus& census, const Checkpoint& checkpoint) {
  Json by_dtype = Json::object();
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    const std::size_t parameters = census.embedding.parameters_of[i] +
                                   census.dense.parameters_of[i] + census.experts.parameters_of[i];
    if (parameters > 0) by_dtype[std::string(name_of(static_cast<DType>(i)))] = parameters;
  }
  return {{"parameters", census.parameters()},
          {"active_parameters", census.active_parameters()},
          {"bytes", checkpoint.weight_bytes()},
          {"parameters_by_dtype", by_dtype}};
}

Json describe_memory(const Model& model, const ModelOptions& options) {
  const Context context(model, options.context());
  const Config& c = model.config();
  const DType cache_dtype = options.cache_dtype();
  const std::size_t per_position = 2 * c.n_layers * c.kv_dim() * size_of(cache_dtype);
  return {{"n_ctx", context.capacity()},
          {"cache_dtype", name_of(cache_dtype)},
          {"cache_bytes_per_token", per_position},
          {"cache_bytes", per_position * context.capacity()},
          {"context_bytes", context.bytes()}};
}

Json describe_compute(const Mixtral& network, const ModelOptions& options) {
  Json available = Json::array();
  for (const GemmKind kind :
       {GemmKind::native, GemmKind::onednn, GemmKind::openblas, GemmKind::eigen}) {
    if (is_available(kind)) available.push_back(name_of(kind));
  }
  return {{"isa", name_of(network.isa())},
          {"gemm", name_of(network.gemm())},
          {"gemm_available", available},
          {"precision", options.precision},
          {"n_threads", options.n_threads == 0 ? default_thread_count() : options.n_threads}};
}

Json describe_tokenizer(const Model& model, const std::filesystem::path& directory) {
  if (!model.has_tokenizer()) return nullptr;
  const Tokenizer& tokenizer = model.tokenizer();
  std::error_code error;
  const bool is_model = std::filesystem::exists(directory / "tokenizer.model", error);
  return {{"file", is_model ? "tokenizer.model" : "tokenizer.json"},
          {"vocab", tokenizer.vocab_size()},
          {"bos_id", tokenizer.bos_id()},
          {"eos_id", tokenizer.eos_id()},
          {"unk_id", tokenizer.unk_id()},
          {"chat_version", model.chat_version() == ChatVersion::v3 ? "v3" : "v1"}};
}

Json describe(const SamplingOptions& sampling) {
  return {{"temperature", sampling.temperature},
          {"top_k", sampling.top_k},
          {"top_p", sampling.top_p},
          {"min_p", sampling.min_p},
          {"repetition_penalty", sampling.repetition_penalty}};
}

/// "config" and its entries, one a line, nested ones indented.
void append_text(const Json& json, const std::string& indent, std::string& text) {
  for (const auto& [key, value] : json.items()) {
    std::string label = indent + key;
    if (value.is_object()) {
      text += label + "\n";
      append_text(value, indent + "  ", text);
      continue;
    }
    label.resize(std::max<std::size_t>(label.size() + 1, 26), ' ');
    text += label + (value.is_string() ? value.get<std::string>()
                     : value.is_null() ? "none"
                                       : value.dump());
    if (value.is_number_unsigned() && value.get<std::size_t>() >= 1000000) {
      const auto number = value.get<double>();
      const bool is_bytes = key.find("bytes") != std::string::npos;
      text += "  (" + (is_bytes ? format_bytes(number) : format_count(number)) + ")";
    }
    text += "\n";
  }
}

void info(const InfoOptions& options) {
  const Model model = load_model(options.model);
  const std::filesystem::path directory = model_path(options.model.path);
  const Checkpoint& checkpoint = model.network().checkpoint();
  const Json result = {
      {"model", directory.string()},
      {"config", describe(model.config())},
      {"weights", describe(count_weights(checkpoint), checkpoint)},
      {"memory", describe_memory(model, options.model)},
      {"compute", describe_compute(model.network(), options.model)},
      {"tokenizer", describe_tokenizer(model, directory)},
      {"default_sampling", describe(model.default_sampling())},
  };
  if (options.json) return print_json(result);
  std::string text;
  append_text(result, "", text);
  print(text);
}

}  // namespace

void add_info(CLI::App& app) {
  auto options = std::make_shared<InfoOptions>();
  CLI::App* command = app.add_subcommand("info", "Show what a model is and what it needs");
  add_model_options(*command, options->model);
  add_context_option(*command, options->model, "4096, or what the model was made for");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "weights are mapped from the files: they take page cache, not private memory. context_bytes\n"
      "is the private memory of one context of n_ctx tokens (cache and scratch), touched as it "
      "fills.\n\n"
      "Examples:\n"
      "  mixtral info examples/models/pocket-mixtral\n"
      "  mixtral info MODEL --ctx 32768 --cache-type bf16 --json");
  command->callback([options] { info(*options); });
}

}  // namespace mixtral::cli

// mixtral info: what a model is and what it needs.
#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "command.hpp"
#include "io.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/generate/context.hpp"
#include "mixtral/io/native_checkpoint.hpp"
#include "mixtral/io/recipe.hpp"
#include "options.hpp"
#include "weights.hpp"

namespace mixtral::cli {
namespace {

struct InfoOptions {
  ModelOptions model;
  bool tensors = false;
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

/// {"q4_k": 123, ..} for the types that there are.
Json by_dtype(const std::array<std::size_t, kDTypeCount>& numbers) {
  Json object = Json::object();
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    if (numbers[i] > 0) object[std::string(name_of(static_cast<DType>(i)))] = numbers[i];
  }
  return object;
}

Json describe(const WeightCensus& census) {
  const WeightTotals& stored = census.stored;
  return {{"parameters", census.parameters()},
          {"active_parameters", census.active_parameters()},
          {"bytes", stored.bytes},
          {"file_bytes", census.file_bytes},
          {"bits_per_weight",
           8.0 * static_cast<double>(census.file_bytes) / static_cast<double>(stored.parameters)},
          {"parameters_by_dtype", by_dtype(stored.parameters_of)},
          {"bytes_by_dtype", by_dtype(stored.bytes_of)}};
}

/// What a native file was packed by; null for other models.
Json describe_recipe(const Checkpoint& checkpoint) {
  const auto* native = dynamic_cast<const NativeCheckpoint*>(&checkpoint);
  if (native == nullptr) return nullptr;
  try {
    const Recipe recipe = parse_recipe(native->recipe(), "recipe");
    Json rules = Json::array();
    for (const auto& [tensors, type] : recipe.rules) {
      rules.push_back({{"tensors", tensors}, {"type", name_of(type)}});
    }
    return {{"name", recipe.name}, {"default", name_of(recipe.type)}, {"rules", rules}};
  } catch (const Error&) {
    return native->recipe();  // it documents, and has no say in what the file means
  }
}

/// What else the files say; null when they say nothing.
Json describe_metadata(const Checkpoint& checkpoint) {
  Json object;
  for (const auto& [key, value] : checkpoint.metadata()) object[key] = value;
  return object;
}

Json list_tensors(const Checkpoint& checkpoint) {
  Json tensors = Json::array();
  visit_tensors(checkpoint.config(), [&](const TensorKey& key) {
    const WeightView view = checkpoint.tensor(key);
    const StoredTensor stored = checkpoint.stored(key);
    tensors.push_back({{"name", name_of(key)},
                       {"type", name_of(view.dtype)},
                       {"rows", view.rows},
                       {"cols", view.cols},
                       {"layout", view.layout == Layout::tiled ? "tiled" : "row_major"},
                       {"bytes", view.bytes()},
                       {"stored_name", stored.name},
                       {"stored_type", stored.type},
                       {"stored_bytes", stored.bytes}});
  });
  return tensors;
}

Json describe_memory(const Model& model, const ModelOptions& options) {
  const Context context(model, options.context());
  const Config& c = model.config();
  const DType cache_dtype = options.cache_dtype();
  const std::size_t per_position = 2 * c.n_layers * bytes_of(cache_dtype, c.kv_dim());
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

Json describe_tokenizer(const Model& model) {
  if (!model.has_tokenizer()) return nullptr;
  const Tokenizer& tokenizer = model.tokenizer();
  const bool is_model = model.network().checkpoint().file("tokenizer.model").has_value();
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

std::string plain_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? "none" : value.dump();
}

/// "lm_head  q6_k  32000  4096": the values of each element in a line of its own.
void append_table(const Json& rows, const std::string& indent, std::string& text) {
  for (const Json& row : rows) {
    text += indent;
    for (const auto& [key, value] : row.items()) text += "  " + plain_text(value);
    text += "\n";
  }
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
    if (value.is_array() && !value.empty() && value.front().is_object()) {
      text += label + "\n";
      append_table(value, indent, text);
      continue;
    }
    label.resize(std::max<std::size_t>(label.size() + 1, 26), ' ');
    text += label + plain_text(value);
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
  const Checkpoint& checkpoint = model.network().checkpoint();
  Json result = {
      {"model", model_path(options.model.path).string()},
      {"config", describe(model.config())},
      {"weights", describe(count_weights(checkpoint))},
      {"recipe", describe_recipe(checkpoint)},
      {"metadata", describe_metadata(checkpoint)},
      {"memory", describe_memory(model, options.model)},
      {"compute", describe_compute(model.network(), options.model)},
      {"tokenizer", describe_tokenizer(model)},
      {"default_sampling", describe(model.default_sampling())},
  };
  if (options.tensors) result["tensors"] = list_tensors(checkpoint);
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
  command->add_flag("--tensors", options->tensors,
                    "List every tensor: name, type, rows, columns, layout, bytes");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "weights are mapped from the files: they take page cache, not private memory. context_bytes\n"
      "is the private memory of one context of n_ctx tokens (cache and scratch), touched as it "
      "fills.\n\n"
      "Examples:\n"
      "  mixtral info examples/models/pocket-mixtral\n"
      "  mixtral info MODEL --ctx 32768 --cache-type bf16 --json\n"
      "  mixtral info model.mixtral --tensors");
  command->callback([options] { info(*options); });
}

}  // namespace mixtral::cli

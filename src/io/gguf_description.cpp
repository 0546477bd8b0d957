#include "io/gguf_description.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "core/json.hpp"
#include "io/gguf_keys.hpp"
#include "io/gguf_tokenizer.hpp"
#include "io/model_tensors.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

constexpr std::uint32_t kQuantisationVersion = 2;

/// llama.cpp's numbers for the mixtures, by the names of recipes.
constexpr std::pair<std::string_view, std::uint32_t> kFileTypes[] = {
    {"f32", 0},     {"f16", 1},     {"q4_0", 2},    {"q4_1", 3},    {"q8_0", 7},    {"q5_0", 8},
    {"q5_1", 9},    {"q2_k", 10},   {"q3_k_s", 11}, {"q3_k_m", 12}, {"q3_k_l", 13}, {"q4_k_s", 14},
    {"q4_k_m", 15}, {"q5_k_s", 16}, {"q5_k_m", 17}, {"q6_k", 18},   {"iq4_nl", 25}, {"iq4_xs", 30},
    {"bf16", 32},   {"tq1_0", 36},  {"tq2_0", 37},  {"mxfp4_moe", 38}, {"nvfp4", 39},
};

/// It documents only; nothing for a mixture that llama.cpp hasn't got.
std::optional<std::uint32_t> file_type_of(const Recipe& recipe) noexcept {
  for (const auto& [name, number] : kFileTypes) {
    if (name == recipe.name) return number;
  }
  return std::nullopt;
}

std::uint32_t number(std::size_t value) noexcept { return static_cast<std::uint32_t>(value); }

std::uint32_t id(TokenId token) noexcept { return static_cast<std::uint32_t>(token); }

void add_model(const Config& config, GgufMetadataWriter& metadata) {
  metadata.add("llama.block_count", number(config.n_layers));
  metadata.add("llama.context_length", number(config.max_position));
  metadata.add("llama.embedding_length", number(config.hidden));
  metadata.add("llama.feed_forward_length", number(config.ffn));
  metadata.add("llama.attention.head_count", number(config.n_heads));
  metadata.add("llama.attention.head_count_kv", number(config.n_kv_heads));
  metadata.add("llama.attention.key_length", number(config.head_dim));
  metadata.add("llama.attention.value_length", number(config.head_dim));
  metadata.add("llama.attention.layer_norm_rms_epsilon", static_cast<float>(config.rms_norm_eps));
  if (config.sliding_window) {
    metadata.add("llama.attention.sliding_window", number(*config.sliding_window));
  }
  metadata.add("llama.rope.freq_base", static_cast<float>(config.rope_theta));
  metadata.add("llama.rope.dimension_count", number(config.head_dim));
  metadata.add("llama.expert_count", number(config.n_experts));
  metadata.add("llama.expert_used_count", number(config.top_k));
  metadata.add("llama.vocab_size", number(config.vocab));
  metadata.add("tokenizer.ggml.bos_token_id", id(config.bos_id));
  const std::size_t n_ends = std::min(config.eos_ids.size(), std::size(kGgufEndKeys));
  for (std::size_t i = 0; i < n_ends; ++i) metadata.add(kGgufEndKeys[i], id(config.eos_ids[i]));
}

/// Without sampling its parameters are none, and temperature 0 says the same.
void add_sampling(const GenerationDefaults& defaults, GgufMetadataWriter& metadata) {
  const auto add = [&metadata](const char* key, const std::optional<double>& value) {
    if (value) metadata.add(key, static_cast<float>(*value));
  };
  add(kGgufRepetitionPenalty, defaults.repetition_penalty);
  if (!defaults.do_sample) return;
  add(kGgufTemperature, *defaults.do_sample ? defaults.temperature.value_or(1) : 0);
  if (!*defaults.do_sample) return;
  if (defaults.top_k) metadata.add(kGgufTopK, static_cast<std::int32_t>(*defaults.top_k));
  add(kGgufTopP, defaults.top_p);
  add(kGgufMinP, defaults.min_p);
}

/// "47B", "8.5B": two digits at least.
std::string rounded_count(double count) {
  constexpr std::pair<double, char> kUnits[] = {{1e12, 'T'}, {1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}};
  const auto* unit = std::begin(kUnits);
  while (unit->first > 1e3 && count <= unit->first) ++unit;
  const double scaled = count / unit->first, whole = std::nearbyint(scaled);
  const int decimals = whole >= 10 ? 0 : whole >= 1 ? 1 : 2;
  char text[32];
  std::snprintf(text, sizeof text, "%.*f%c", decimals, scaled, unit->second);
  return text;
}

/// "8x7B": experts, and the weights of a model that has only one of them.
std::string size_label(const Config& config) {
  double count = 0;
  visit_tensors(config, [&](const TensorKey& key) {
    if (is_expert(key.role) && key.expert > 0) return;
    if (config.tie_embeddings && key.role == TensorRole::lm_head) return;
    const auto [rows, cols] = shape_of(key.role, config);
    count += static_cast<double>(rows) * static_cast<double>(cols);
  });
  return std::to_string(config.n_experts) + "x" + rounded_count(count);
}

/// As other programs want the pieces of added tokens: with plain spaces.
std::string with_spaces(std::string text) {
  for (std::size_t at; (at = text.find(kSpaceSymbol)) != text.npos;) {
    text.replace(at, kSpaceSymbol.size(), " ");
  }
  return text;
}

void add_pieces(const SentencePieceModel& model, std::size_t vocab, GgufMetadataWriter& metadata) {
  constexpr std::int32_t kUnused = 5;
  constexpr float kUnusedScore = -10000;
  std::vector<std::string> tokens;
  std::vector<float> scores = model.scores;
  std::vector<std::int32_t> types;
  for (std::size_t i = 0; i < model.vocabulary.size(); ++i) {
    const auto& [text, kind] = model.vocabulary[static_cast<TokenId>(i)];
    tokens.push_back(kind == TokenKind::user_defined ? with_spaces(text) : text);
    types.push_back(static_cast<std::int32_t>(piece_type(kind)));
  }
  for (std::size_t i = tokens.size(); i < vocab; ++i) {
    tokens.push_back("[PAD" + std::to_string(i) + "]");
    scores.push_back(kUnusedScore);
    types.push_back(kUnused);
  }
  metadata.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
  metadata.add("tokenizer.ggml.scores", std::span<const float>(scores));
  metadata.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(types));
}

void add_tokenizer(const Checkpoint& source, GgufMetadataWriter& metadata) {
  const std::size_t vocab = source.config().vocab;
  const auto model = sentencepiece_model_of(source);
  metadata.add("tokenizer.ggml.model", model ? "llama" : "no_vocab");
  if (!model) return;
  if (model->vocabulary.size() > vocab) {
    throw Error(ErrorCode::format, "the tokenizer has " + std::to_string(model->vocabulary.size()) +
                                       " tokens, the model only " + std::to_string(vocab));
  }
  metadata.add("tokenizer.ggml.pre", "default");
  add_pieces(*model, vocab, metadata);
  metadata.add("tokenizer.ggml.unknown_token_id", id(model->vocabulary.unk_id()));
  const auto text = source.file("tokenizer_config.json");
  const nlohmann::json document = parse_json_object(text.value_or("{}"), "tokenizer_config.json");
  const JsonObject config(document, std::string("tokenizer_config.json"));
  metadata.add("tokenizer.ggml.add_bos_token", config.boolean("add_bos_token").value_or(true));
  metadata.add("tokenizer.ggml.add_eos_token", config.boolean("add_eos_token").value_or(false));
  const nlohmann::json* chat = config.find("chat_template");  // some files have a list of several
  if (chat != nullptr && chat->is_string()) {
    metadata.add("tokenizer.chat_template", std::string_view(chat->get_ref<const std::string&>()));
  }
}

}  // namespace

GgufMetadataWriter describe_gguf(const Checkpoint& source, const std::string& name, const Recipe& recipe) {
  GgufMetadataWriter metadata;
  metadata.add("general.architecture", "llama");
  metadata.add("general.type", "model");
  metadata.add("general.name", name);
  metadata.add("general.size_label", size_label(source.config()));
  if (const auto type = file_type_of(recipe)) metadata.add("general.file_type", *type);
  metadata.add("general.quantization_version", kQuantisationVersion);
  add_sampling(source.generation_defaults(), metadata);
  add_model(source.config(), metadata);
  add_tokenizer(source, metadata);
  return metadata;
}

}  // namespace mixtral::detail

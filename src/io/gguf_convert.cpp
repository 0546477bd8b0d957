#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json.hpp"
#include "core/message.hpp"
#include "io/conversion.hpp"
#include "io/gguf_tensors.hpp"
#include "io/gguf_tokenizer.hpp"
#include "io/gguf_writer.hpp"
#include "io/model_tensors.hpp"
#include "io/weight_stream.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/gguf.hpp"

namespace mixtral {
namespace {

using detail::GgufMetadataWriter;
using detail::quote;

constexpr std::uint32_t kQuantisationVersion = 2;

/// llama.cpp's numbers for the mixtures, by the names of recipes.
constexpr std::pair<std::string_view, std::uint32_t> kFileTypes[] = {
    {"f32", 0},     {"f16", 1},     {"q4_0", 2},    {"q4_1", 3},    {"q8_0", 7},    {"q5_0", 8},
    {"q5_1", 9},    {"q2_k", 10},   {"q3_k_s", 11}, {"q3_k_m", 12}, {"q3_k_l", 13}, {"q4_k_s", 14},
    {"q4_k_m", 15}, {"q5_k_s", 16}, {"q5_k_m", 17}, {"q6_k", 18},   {"iq4_nl", 25}, {"iq4_xs", 30},
    {"bf16", 32},   {"mxfp4_moe", 38},
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
  if (!config.eos_ids.empty()) metadata.add("tokenizer.ggml.eos_token_id", id(config.eos_ids.front()));
}

/// As other programs want the pieces of added tokens: with plain spaces.
std::string with_spaces(std::string text) {
  for (std::size_t at; (at = text.find(detail::kSpaceSymbol)) != text.npos;) {
    text.replace(at, detail::kSpaceSymbol.size(), " ");
  }
  return text;
}

void add_pieces(const detail::SentencePieceModel& model, std::size_t vocab, GgufMetadataWriter& metadata) {
  constexpr std::int32_t kUnused = 5;
  constexpr float kUnusedScore = -10000;
  std::vector<std::string> tokens;
  std::vector<float> scores = model.scores;
  std::vector<std::int32_t> types;
  for (std::size_t i = 0; i < model.vocabulary.size(); ++i) {
    const auto& [text, kind] = model.vocabulary[static_cast<TokenId>(i)];
    tokens.push_back(kind == TokenKind::user_defined ? with_spaces(text) : text);
    types.push_back(static_cast<std::int32_t>(detail::piece_type(kind)));
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
  const auto model = detail::sentencepiece_model_of(source);
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
  const nlohmann::json document = detail::parse_json_object(text.value_or("{}"), "tokenizer_config.json");
  const detail::JsonObject config(document, std::string("tokenizer_config.json"));
  metadata.add("tokenizer.ggml.add_bos_token", config.boolean("add_bos_token").value_or(true));
  metadata.add("tokenizer.ggml.add_eos_token", config.boolean("add_eos_token").value_or(false));
  const nlohmann::json* chat = config.find("chat_template");  // some files have a list of several
  if (chat != nullptr && chat->is_string()) {
    metadata.add("tokenizer.chat_template", std::string_view(chat->get_ref<const std::string&>()));
  }
}

GgufMetadataWriter describe(const Checkpoint& source, const std::filesystem::path& path,
                            const Recipe& recipe) {
  GgufMetadataWriter metadata;
  metadata.add("general.architecture", "llama");
  metadata.add("general.type", "model");
  metadata.add("general.name", path.stem().string());
  if (const auto type = file_type_of(recipe)) metadata.add("general.file_type", *type);
  metadata.add("general.quantization_version", kQuantisationVersion);
  add_model(source.config(), metadata);
  add_tokenizer(source, metadata);
  return metadata;
}

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
  detail::GgufWriter writer(path, describe(source, path, recipe), plan.tensors);
  detail::stream_weights(
      source, plan.jobs, RotaryOrder::interleaved,
      [&writer](std::span<const std::byte> bytes) { writer.append(bytes); }, options, executor);
  writer.commit();
  return plan.report;
}

}  // namespace mixtral

#include "mixtral/io/hf_config.hpp"

#include <algorithm>
#include <limits>

#include "core/json.hpp"
#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

using detail::JsonObject;
using nlohmann::json;

constexpr auto kMaxTokenId = static_cast<std::size_t>(std::numeric_limits<TokenId>::max());
constexpr std::size_t kMaxSize = 0x7fffffff;  // validate() knows the closer bounds
constexpr double kMaxNumber = 1e18;

/// A size of config.json: its key, and the value that transformers takes when it is absent.
struct SizeKey {
  const char* key;
  std::size_t Config::*value;
  std::size_t by_default;
};

constexpr const char* kKvHeadsKey = "num_key_value_heads";  // null: as many as query heads

constexpr SizeKey kSizeKeys[] = {
    {"num_hidden_layers", &Config::n_layers, 32},
    {"hidden_size", &Config::hidden, 4096},
    {"intermediate_size", &Config::ffn, 14336},
    {"num_attention_heads", &Config::n_heads, 32},
    {kKvHeadsKey, &Config::n_kv_heads, 8},
    {"num_local_experts", &Config::n_experts, 8},
    {"num_experts_per_tok", &Config::top_k, 2},
    {"vocab_size", &Config::vocab, 32000},
    {"max_position_embeddings", &Config::max_position, 131072},
};

/// Refuses keys whose presence changes the arithmetic in a way that isn't implemented.
void check_supported(const JsonObject& config) {
  if (const json* type = config.find("model_type"); type == nullptr || *type != "mixtral") {
    config.unsupported("model_type", "\"mixtral\"", type == nullptr ? json() : *type);
  }
  if (const json* names = config.find("architectures")) {
    if (!names->is_array()) config.fail("architectures", "an array", *names);
    if (std::find(names->begin(), names->end(), "MixtralForCausalLM") == names->end()) {
      config.unsupported("architectures", "\"MixtralForCausalLM\" among them",
                         names->empty() ? *names : names->front());
    }
  }
  const std::string act = config.string("hidden_act").value_or("silu");
  if (act != "silu") config.unsupported("hidden_act", "\"silu\"", act);
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (config.boolean(key).value_or(false)) config.unsupported(key, "no biases", true);
  }
}

/// Refuses RoPE on a part of each head.
void check_whole_rotation(const JsonObject& object) {
  const json* factor = object.find("partial_rotary_factor");
  if (factor != nullptr && *factor != 1.0) {
    object.unsupported("partial_rotary_factor", "1.0", *factor);
  }
}

/// Refuses every parameter of RoPE but theta.
void check_unscaled(const JsonObject& rope) {
  for (const char* key : {"rope_type", "type"}) {
    const json* type = rope.find(key);
    if (type != nullptr && *type != "default") rope.unsupported(key, "\"default\"", *type);
  }
  check_whole_rotation(rope);
  for (const auto& [key, value] : rope.value().items()) {
    if (key != "rope_type" && key != "type" && key != "rope_theta" &&
        key != "partial_rotary_factor") {
      rope.unsupported(key.c_str(), "only rope_theta and rope_type \"default\"", value);
    }
  }
}

/// theta of unscaled RoPE, from transformers 5's `rope_parameters` or 4's `rope_theta` and
/// `rope_scaling`.
double read_rope_theta(const JsonObject& config) {
  constexpr double kDefaultTheta = 1e6;
  std::optional<double> theta = config.number("rope_theta", 1, kMaxNumber);
  for (const char* section : {"rope_parameters", "rope_scaling"}) {
    const auto rope = config.object(section);
    if (!rope) continue;
    check_unscaled(*rope);
    const auto stated = rope->number("rope_theta", 1, kMaxNumber);
    if (stated && theta && *stated != *theta) {
      rope->fail("rope_theta", "the same value as the other one, " + json(*theta).dump(), *stated);
    }
    if (stated) theta = stated;
  }
  check_whole_rotation(config);
  return theta.value_or(kDefaultTheta);
}

TokenId to_token_id(const JsonObject& object, const char* key, const json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMaxTokenId) {
    object.fail(key, "token ids of 0 .. " + std::to_string(kMaxTokenId), value);
  }
  return static_cast<TokenId>(value.get<std::uint64_t>());
}

/// `eos_token_id`: one id, several, or null for none. Nothing when the key is absent.
std::optional<std::vector<TokenId>> read_eos_ids(const JsonObject& object) {
  constexpr const char* kKey = "eos_token_id";
  if (!object.contains(kKey)) return std::nullopt;
  std::vector<TokenId> ids;
  if (const json* value = object.find(kKey)) {
    if (value->is_array()) {
      for (const json& id : *value) ids.push_back(to_token_id(object, kKey, id));
    } else {
      ids.push_back(to_token_id(object, kKey, *value));
    }
  }
  return ids;
}

TokenId read_bos_id(const JsonObject& config) {
  constexpr const char* kKey = "bos_token_id";
  if (!config.contains(kKey)) return 1;
  return to_token_id(config, kKey, config.value().at(kKey));
}

std::size_t read_size(const JsonObject& object, const SizeKey& entry) {
  if (object.is_null(entry.key) && entry.key != kKvHeadsKey) {
    object.fail(entry.key, "a whole number", json());
  }
  return object.size(entry.key, 1, kMaxSize).value_or(entry.by_default);
}

std::size_t read_head_dim(const JsonObject& object, const Config& config) {
  if (const auto stated = object.size("head_dim", 1, kMaxSize)) return *stated;
  if (config.hidden % config.n_heads != 0) {
    object.fail("num_attention_heads",
                "a divisor of hidden_size = " + std::to_string(config.hidden), config.n_heads);
  }
  return config.hidden / config.n_heads;
}

}  // namespace

Config parse_hf_config(std::string_view text, std::string_view name) {
  const json document = detail::parse_json_object(text, name);
  const JsonObject object(document, std::string(name));
  check_supported(object);
  Config config;
  for (const SizeKey& entry : kSizeKeys) config.*entry.value = read_size(object, entry);
  if (object.is_null(kKvHeadsKey)) config.n_kv_heads = config.n_heads;
  config.head_dim = read_head_dim(object, config);
  config.rope_theta = read_rope_theta(object);
  config.rms_norm_eps = object.number("rms_norm_eps", 0, 1).value_or(1e-5);
  config.sliding_window = object.size("sliding_window", 1, kMaxSize);
  config.tie_embeddings = object.boolean("tie_word_embeddings").value_or(false);
  config.bos_id = read_bos_id(object);
  config.eos_ids = read_eos_ids(object).value_or(std::vector<TokenId>{2});
  try {
    validate(config);
  } catch (const Error& e) {
    throw Error(ErrorCode::format, detail::quote(name) + ": " + e.what());
  }
  return config;
}

HfGenerationConfig parse_hf_generation_config(std::string_view text, std::string_view name) {
  const json document = detail::parse_json_object(text, name);
  const JsonObject object(document, std::string(name));
  HfGenerationConfig result;
  result.defaults.do_sample = object.boolean("do_sample");
  result.defaults.temperature = object.number("temperature", 0, kMaxNumber);
  result.defaults.top_k = object.size("top_k", 0, kMaxTokenId);
  result.defaults.top_p = object.number("top_p", 0, 1);
  result.defaults.min_p = object.number("min_p", 0, 1);
  result.defaults.repetition_penalty = object.number("repetition_penalty", 1e-6, kMaxNumber);
  result.defaults.max_new_tokens = object.size("max_new_tokens", 0, kMaxTokenId);
  result.eos_ids = read_eos_ids(object);
  return result;
}

std::string to_hf_config_json(const Config& config, DType dtype) {
  const std::string dtype_name = dtype == DType::f32   ? "float32"
                                 : dtype == DType::f16 ? "float16"
                                                       : "bfloat16";
  json object = {
      {"architectures", json::array({"MixtralForCausalLM"})},
      {"model_type", "mixtral"},
      {"head_dim", config.head_dim},
      {"hidden_act", "silu"},
      {"rope_theta", config.rope_theta},
      {"rms_norm_eps", config.rms_norm_eps},
      {"sliding_window", config.sliding_window ? json(*config.sliding_window) : json()},
      {"tie_word_embeddings", config.tie_embeddings},
      {"bos_token_id", config.bos_id},
      {"eos_token_id", config.eos_ids.size() == 1 ? json(config.eos_ids[0]) : json(config.eos_ids)},
      {"attention_dropout", 0.0},
      {"torch_dtype", dtype_name},
      {"use_cache", true},
  };
  for (const SizeKey& entry : kSizeKeys) object[entry.key] = config.*entry.value;
  return object.dump(2) + "\n";
}

std::string to_hf_generation_config_json(const Config& config, const GenerationDefaults& defaults) {
  json object = {
      {"_from_model_config", true},
      {"bos_token_id", config.bos_id},
      {"eos_token_id", config.eos_ids.size() == 1 ? json(config.eos_ids[0]) : json(config.eos_ids)},
  };
  const auto add = [&object](const char* key, const auto& value) {
    if (value) object[key] = *value;
  };
  add("do_sample", defaults.do_sample);
  add("temperature", defaults.temperature);
  add("top_k", defaults.top_k);
  add("top_p", defaults.top_p);
  add("min_p", defaults.min_p);
  add("repetition_penalty", defaults.repetition_penalty);
  add("max_new_tokens", defaults.max_new_tokens);
  return object.dump(2) + "\n";
}

}  // namespace mixtral

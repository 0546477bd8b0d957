#include "io/mistral_config.hpp"

#include <charconv>
#include <string>

#include "core/json.hpp"
#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxSize = 0x7fffffff;  // validate() knows the closer bounds

/// A size by its two names.
struct SizeKey {
  const char *mistral, *hf;
  std::size_t Config::*value;
};

constexpr SizeKey kSizeKeys[] = {
    {"dim", "hidden_size", &Config::hidden},
    {"n_layers", "num_hidden_layers", &Config::n_layers},
    {"hidden_dim", "intermediate_size", &Config::ffn},
    {"n_heads", "num_attention_heads", &Config::n_heads},
    {"n_kv_heads", "num_key_value_heads", &Config::n_kv_heads},
    {"vocab_size", "vocab_size", &Config::vocab},
};

void check_supported(const JsonObject& params) {
  for (const char* key : {"lora", "vision_encoder", "quantization", "mla"}) {
    if (const json* value = params.find(key)) params.unsupported(key, "none", *value);
  }
  if (const auto type = params.string("model_type"); type && *type != "transformer" && *type != "mixtral") {
    params.unsupported("model_type", "\"transformer\" or \"mixtral\"", *type);
  }
}

std::size_t read_size(const JsonObject& params, const SizeKey& entry) {
  if (const auto size = params.size(entry.mistral, 1, kMaxSize)) return *size;
  if (const auto size = params.size(entry.hf, 1, kMaxSize)) return *size;
  params.fail(entry.mistral, "a whole number, here or in \"" + std::string(entry.hf) + "\"", nullptr);
}

void read_experts(const JsonObject& params, Config& config) {
  constexpr std::size_t kUsualTopK = 2;  // that of every Mixtral
  const auto moe = params.object("moe");
  const auto n_experts = moe ? moe->size("num_experts", 1, kMaxSize)
                             : params.size("num_local_experts", 1, kMaxSize);
  if (!n_experts) {
    params.unsupported("moe", "a mixture of experts with num_experts", nullptr);
  }
  config.n_experts = *n_experts;
  config.top_k =
      (moe ? *moe : params).size("num_experts_per_tok", 1, kMaxSize).value_or(kUsualTopK);
}

/// A number or, as converters have met it, its digits in a string.
std::optional<std::size_t> read_window(const JsonObject& params, const char* key) {
  const json* value = params.find(key);
  if (value == nullptr || !value->is_string()) return params.size(key, 1, kMaxSize);
  const auto& text = value->get_ref<const std::string&>();
  std::size_t window = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), window);
  if (error != std::errc() || end != text.data() + text.size() || window < 1 || window > kMaxSize) {
    params.fail(key, "a whole number", *value);
  }
  return window;
}

std::size_t read_max_position(const JsonObject& params, const Config& config) {
  for (const char* key : {"max_seq_len", "max_position_embeddings"}) {
    if (const auto size = params.size(key, 1, kMaxSize)) return *size;
  }
  const bool is_8x22b = config.hidden == 6144 && config.n_layers == 56;
  return is_8x22b ? 65536 : 32768;
}

}  // namespace

Config parse_mistral_params(std::string_view text, std::string_view name) {
  constexpr double kMixtralTheta = 1e6;
  const json document = parse_json_object(text, name);
  const JsonObject params(document, std::string(name));
  check_supported(params);
  Config config;
  for (const SizeKey& entry : kSizeKeys) config.*entry.value = read_size(params, entry);
  read_experts(params, config);
  config.head_dim = params.size("head_dim", 1, kMaxSize).value_or(config.hidden / config.n_heads);
  config.max_position = read_max_position(params, config);
  config.rope_theta = params.number("rope_theta", 1, 1e18).value_or(kMixtralTheta);
  config.rms_norm_eps = params.number("norm_eps", 0, 1)
                            .value_or(params.number("rms_norm_eps", 0, 1).value_or(1e-5));
  config.sliding_window = read_window(params, "sliding_window");
  if (!config.sliding_window) config.sliding_window = read_window(params, "_sliding_window");
  try {
    validate(config);
  } catch (const Error& e) {
    throw Error(ErrorCode::format, quote(name) + ": " + e.what());
  }
  return config;
}

}  // namespace mixtral::detail

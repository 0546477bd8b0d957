#include <limits>
#include <optional>
#include <string>

#include "io/support/files.hpp"
#include "mixtral/io/hf_config.hpp"
#include "support/errors.hpp"

using namespace mixtral;
using test::require_error;

namespace {

// mistral-community/Mixtral-8x22B-v0.1, verbatim.
const std::string k8x22b = R"({
  "architectures": [
    "MixtralForCausalLM"
  ],
  "attention_dropout": 0.0,
  "bos_token_id": 1,
  "eos_token_id": 2,
  "hidden_act": "silu",
  "hidden_size": 6144,
  "initializer_range": 0.02,
  "intermediate_size": 16384,
  "max_position_embeddings": 65536,
  "model_type": "mixtral",
  "num_attention_heads": 48,
  "num_experts_per_tok": 2,
  "num_hidden_layers": 56,
  "num_key_value_heads": 8,
  "num_local_experts": 8,
  "output_router_logits": false,
  "rms_norm_eps": 1e-05,
  "rope_theta": 1000000,
  "router_aux_loss_coef": 0.001,
  "router_jitter_noise": 0.0,
  "sliding_window": null,
  "tie_word_embeddings": false,
  "torch_dtype": "bfloat16",
  "transformers_version": "4.40.0.dev0",
  "use_cache": true,
  "vocab_size": 32000
})";

Config parse(const std::string& json) { return parse_hf_config(json, "dir/config.json"); }

/// A config whose other keys are absent.
std::string with(const std::string& members) {
  return "{\"model_type\":\"mixtral\"" + (members.empty() ? "" : "," + members) + "}";
}

void require_config_error(ErrorCode code, std::initializer_list<std::string> parts,
                          const std::string& json) {
  INFO(json.substr(0, 200));
  require_error(code, {"dir/config.json"}, [&] { parse(json); });
  require_error(code, parts, [&] { parse(json); });
}

}  // namespace

TEST_CASE("the published 8x22B config") {
  const Config c = parse(k8x22b);
  REQUIRE(c.n_layers == 56);
  REQUIRE(c.hidden == 6144);
  REQUIRE(c.ffn == 16384);
  REQUIRE(c.n_heads == 48);
  REQUIRE(c.n_kv_heads == 8);
  REQUIRE(c.head_dim == 128);
  REQUIRE(c.n_experts == 8);
  REQUIRE(c.top_k == 2);
  REQUIRE(c.vocab == 32000);
  REQUIRE(c.max_position == 65536);
  REQUIRE(c.rope_theta == 1e6);
  REQUIRE(c.rms_norm_eps == 1e-5);
  REQUIRE_FALSE(c.sliding_window);
  REQUIRE_FALSE(c.tie_embeddings);
  REQUIRE(c.bos_id == 1);
  REQUIRE(c.eos_ids == std::vector<TokenId>{2});
}

TEST_CASE("absent keys take the defaults of MixtralConfig") {
  const Config c = parse(with(""));
  REQUIRE(c.n_layers == 32);
  REQUIRE(c.hidden == 4096);
  REQUIRE(c.ffn == 14336);
  REQUIRE(c.n_heads == 32);
  REQUIRE(c.n_kv_heads == 8);
  REQUIRE(c.head_dim == 128);
  REQUIRE(c.n_experts == 8);
  REQUIRE(c.top_k == 2);
  REQUIRE(c.vocab == 32000);
  REQUIRE(c.max_position == 131072);
  REQUIRE(c.rope_theta == 1e6);
  REQUIRE(c.rms_norm_eps == 1e-5);
  REQUIRE_FALSE(c.sliding_window);
  REQUIRE_FALSE(c.tie_embeddings);
  REQUIRE(c.bos_id == 1);
  REQUIRE(c.eos_ids == std::vector<TokenId>{2});
}

TEST_CASE("both spellings of RoPE") {
  REQUIRE(parse(with(R"("rope_theta":5e5)")).rope_theta == 5e5);
  REQUIRE(parse(with(R"("rope_theta":5e5,"rope_scaling":null)")).rope_theta == 5e5);
  REQUIRE(parse(with(R"("rope_theta":5e5,"rope_scaling":{"type":"default"})")).rope_theta == 5e5);
  REQUIRE(parse(with(R"("rope_parameters":{"rope_theta":5e5,"rope_type":"default"})")).rope_theta ==
          5e5);
  REQUIRE(parse(with(R"("rope_theta":5e5,"rope_parameters":{"rope_theta":500000})")).rope_theta ==
          5e5);
  REQUIRE(parse(with(R"("rope_parameters":{"rope_type":"default"})")).rope_theta == 1e6);
}

TEST_CASE("other values that a config may state") {
  REQUIRE(parse(with(R"("head_dim":null)")).head_dim == 128);
  REQUIRE(parse(with(R"("head_dim":64)")).head_dim == 64);
  REQUIRE(parse(with(R"("hidden_size":100,"num_attention_heads":3,"num_key_value_heads":3,)"
                     R"("head_dim":16)"))
              .head_dim == 16);
  REQUIRE(parse(with(R"("num_key_value_heads":null)")).n_kv_heads == 32);
  REQUIRE(parse(with(R"("sliding_window":4096)")).sliding_window == 4096);
  REQUIRE(parse(with(R"("tie_word_embeddings":true)")).tie_embeddings);
  REQUIRE(parse(with(R"("eos_token_id":[2,5,7])")).eos_ids == std::vector<TokenId>{2, 5, 7});
  REQUIRE(parse(with(R"("eos_token_id":null)")).eos_ids.empty());
  REQUIRE(parse(with(R"("eos_token_id":31999)")).eos_ids == std::vector<TokenId>{31999});
  REQUIRE(parse(with(R"("architectures":null,"attention_bias":false,"quantization_config":{})"))
              .n_layers == 32);
}

TEST_CASE("models that this library doesn't implement are unsupported") {
  const auto code = ErrorCode::unsupported;
  require_config_error(code, {"\"model_type\"", "\"llama\""}, R"({"model_type":"llama"})");
  require_config_error(code, {"\"model_type\"", "null"}, "{}");
  require_config_error(code, {"\"model_type\"", "found 3"}, R"({"model_type":3})");
  require_config_error(code, {"\"architectures\"", "MixtralForSequenceClassification"},
                       with(R"("architectures":["MixtralForSequenceClassification"])"));
  require_config_error(code, {"\"architectures\""}, with(R"("architectures":[])"));
  require_config_error(code, {"\"hidden_act\"", "\"gelu\""}, with(R"("hidden_act":"gelu")"));
  require_config_error(code, {"\"attention_bias\""}, with(R"("attention_bias":true)"));
  require_config_error(code, {"\"rope_scaling.type\"", "\"linear\""},
                       with(R"("rope_scaling":{"type":"linear","factor":2.0})"));
  require_config_error(code, {"\"rope_parameters.rope_type\"", "\"yarn\""},
                       with(R"("rope_parameters":{"rope_theta":1e6,"rope_type":"yarn"})"));
  require_config_error(code, {"\"rope_parameters.factor\""},
                       with(R"("rope_parameters":{"rope_theta":1e6,"factor":2})"));
  require_config_error(code, {"\"rope_parameters.full_attention\""},
                       with(R"("rope_parameters":{"full_attention":{"rope_theta":1e6}})"));
  require_config_error(code, {"partial_rotary_factor", "0.5"},
                       with(R"("rope_parameters":{"partial_rotary_factor":0.5})"));
  require_config_error(code, {"partial_rotary_factor", "0.5"},
                       with(R"("partial_rotary_factor":0.5)"));
}

TEST_CASE("absurd values are errors that name the key") {
  const auto code = ErrorCode::format;
  for (const std::string key :
       {"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
        "num_key_value_heads", "num_local_experts", "num_experts_per_tok", "vocab_size",
        "max_position_embeddings", "head_dim", "sliding_window"}) {
    for (const std::string value : {"0", "-1", "1.5", "2.0", "1e3", "\"8\"", "true", "[8]", "{}",
                                    "99999999999", "18446744073709551615",
                                    "99999999999999999999999"}) {
      require_config_error(code, {"\"" + key + "\"", "expected a whole number"},
                           with("\"" + key + "\":" + value));
    }
    if (key != "num_key_value_heads" && key != "head_dim" && key != "sliding_window") {
      require_config_error(code, {"\"" + key + "\"", "null"}, with("\"" + key + "\":null"));
    }
  }
  require_config_error(code, {"n_layers", "2000000000"}, with(R"("num_hidden_layers":2000000000)"));
  require_config_error(code, {"num_attention_heads", "4096", "found 48"},
                       with(R"("num_attention_heads":48)"));
  require_config_error(code, {"n_kv_heads", "divisor of n_heads = 32", "found 5"},
                       with(R"("num_key_value_heads":5)"));
  require_config_error(code, {"n_kv_heads", "found 64"}, with(R"("num_key_value_heads":64)"));
  require_config_error(code, {"head_dim", "even", "found 7"}, with(R"("head_dim":7)"));
  require_config_error(code, {"top_k", "n_experts = 8", "found 9"},
                       with(R"("num_experts_per_tok":9)"));
  for (const std::string value : {"0", "-1", "\"1e6\"", "[1]", "1e300"}) {
    require_config_error(code, {"rope_theta"}, with("\"rope_theta\":" + value));
    require_config_error(code, {"rope_parameters.rope_theta"},
                         with("\"rope_parameters\":{\"rope_theta\":" + value + "}"));
  }
  require_config_error(code, {"\"rope_parameters.rope_theta\"", "same value"},
                       with(R"("rope_theta":1e6,"rope_parameters":{"rope_theta":1e4})"));
  require_config_error(code, {"\"rope_parameters\"", "an object"}, with(R"("rope_parameters":1)"));
  for (const std::string value : {"0", "-1e-5", "1", "\"1e-5\"", "7"}) {
    require_config_error(code, {"rms_norm_eps"}, with("\"rms_norm_eps\":" + value));
  }
  for (const std::string value : {"-1", "1.0", "\"2\"", "[2,null]", "4294967296", "{}"}) {
    require_config_error(code, {"\"eos_token_id\""}, with("\"eos_token_id\":" + value));
  }
  require_config_error(code, {"eos_ids", "32000"}, with(R"("eos_token_id":32000)"));
  require_config_error(code, {"bos_id", "32000"}, with(R"("bos_token_id":32000)"));
  require_config_error(code, {"\"bos_token_id\"", "null"}, with(R"("bos_token_id":null)"));
  require_config_error(code, {"\"tie_word_embeddings\"", "true or false"},
                       with(R"("tie_word_embeddings":1)"));
  require_config_error(code, {"\"architectures\"", "array"}, with(R"("architectures":"x")"));
  require_config_error(code, {"more bytes"},
                       with(R"("num_hidden_layers":65536,"num_local_experts":65536,)"
                            R"("intermediate_size":16777216,"hidden_size":16777216,"head_dim":2)"));
}

TEST_CASE("a malformed config.json is an error") {
  const auto code = ErrorCode::format;
  require_config_error(code, {"not valid JSON at byte"}, "");
  require_config_error(code, {"not valid JSON at byte"}, k8x22b.substr(0, 300));
  require_config_error(code, {"not valid JSON"}, k8x22b + "}");
  require_config_error(code, {"not valid JSON"}, k8x22b + '\0');
  require_config_error(code, {"not valid JSON"}, "{\"a\":\"\xff\"}");
  require_config_error(code, {"not valid JSON"}, with(R"("rope_theta":1e999)"));
  require_config_error(code, {"a JSON object", "array"}, "[]");
  require_config_error(code, {"a JSON object", "null"}, "null");
  require_config_error(code, {"duplicate key \"hidden_size\""},
                       with(R"("hidden_size":4096,"hidden_size":4096)"));
  require_config_error(code, {"duplicate key \"b\""}, with(R"("a":[{"b":1,"c":2,"b":3}])"));
  require_config_error(code, {"nested"}, with("\"a\":" + std::string(100000, '[')));
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  require_config_error(code, {"nested"}, objects);
  require_config_error(code, {"at most"}, std::string(20 << 20, ' ') + k8x22b);
  REQUIRE_NOTHROW(parse(with(R"("a":{"b":{"a":1},"c":{"a":1}},"c":[{"b":1},{"b":1}])")));
}

TEST_CASE("a config.json cut off or changed anywhere is an error or a valid config") {
  for (std::size_t size = 0; size < k8x22b.size(); ++size) {
    REQUIRE_THROWS_AS(parse(k8x22b.substr(0, size)), Error);
  }
  for (std::size_t i = 0; i < k8x22b.size(); ++i) {
    for (const char c : {'9', '-', '"', '\0', '[', ','}) {
      std::string json = k8x22b;
      json[i] = c;
      std::optional<Config> config;
      try {
        config = parse(json);
      } catch (const Error&) {
      }
      if (config) REQUIRE_NOTHROW(validate(*config));
    }
  }
}

TEST_CASE("generation_config.json") {
  const HfGenerationConfig plain = parse_hf_generation_config(
      R"({"_from_model_config":true,"bos_token_id":1,"eos_token_id":2,"transformers_version":"4"})",
      "g");
  REQUIRE(plain.eos_ids == std::vector<TokenId>{2});
  REQUIRE_FALSE(plain.defaults.do_sample);
  REQUIRE_FALSE(plain.defaults.temperature);

  const HfGenerationConfig full = parse_hf_generation_config(
      R"({"do_sample":true,"temperature":0.6,"top_k":50,"top_p":0.9,"min_p":0.05,)"
      R"("repetition_penalty":1.1,"max_new_tokens":100,"eos_token_id":[2,3]})",
      "g");
  REQUIRE(full.defaults.do_sample == true);
  REQUIRE(full.defaults.temperature == 0.6);
  REQUIRE(full.defaults.top_k == 50);
  REQUIRE(full.defaults.top_p == 0.9);
  REQUIRE(full.defaults.min_p == 0.05);
  REQUIRE(full.defaults.repetition_penalty == 1.1);
  REQUIRE(full.defaults.max_new_tokens == 100);
  REQUIRE(full.eos_ids == std::vector<TokenId>{2, 3});

  REQUIRE_FALSE(parse_hf_generation_config("{}", "g").eos_ids);
  for (const std::string member :
       {R"("do_sample":1)", R"("temperature":-1)", R"("temperature":"hot")", R"("top_k":-1)",
        R"("top_k":1.5)", R"("top_p":1.5)", R"("top_p":-0.1)", R"("min_p":2)",
        R"("repetition_penalty":0)", R"("max_new_tokens":-3)", R"("eos_token_id":"2")"}) {
    const std::string key = member.substr(0, member.find(':'));
    require_error(ErrorCode::format, {"\"gen.json\"", key},
                  [&] { parse_hf_generation_config("{" + member + "}", "gen.json"); });
  }
}

TEST_CASE("a config survives being written and read") {
  Config c = parse(k8x22b);
  c.head_dim = 96;
  c.sliding_window = 4096;
  c.tie_embeddings = true;
  c.rope_theta = 12345.678;
  c.rms_norm_eps = 3e-6;
  c.eos_ids = {2, 9};
  c.bos_id = 4;
  const Config read = parse(to_hf_config_json(c, DType::bf16));
  REQUIRE(read.n_layers == c.n_layers);
  REQUIRE(read.hidden == c.hidden);
  REQUIRE(read.ffn == c.ffn);
  REQUIRE(read.n_heads == c.n_heads);
  REQUIRE(read.n_kv_heads == c.n_kv_heads);
  REQUIRE(read.head_dim == c.head_dim);
  REQUIRE(read.n_experts == c.n_experts);
  REQUIRE(read.top_k == c.top_k);
  REQUIRE(read.vocab == c.vocab);
  REQUIRE(read.max_position == c.max_position);
  REQUIRE(read.rope_theta == c.rope_theta);
  REQUIRE(read.rms_norm_eps == c.rms_norm_eps);
  REQUIRE(read.sliding_window == c.sliding_window);
  REQUIRE(read.tie_embeddings == c.tie_embeddings);
  REQUIRE(read.bos_id == c.bos_id);
  REQUIRE(read.eos_ids == c.eos_ids);
  c.sliding_window.reset();
  c.eos_ids = {7};
  REQUIRE_FALSE(parse(to_hf_config_json(c, DType::f16)).sliding_window);
  REQUIRE(parse(to_hf_config_json(c, DType::f32)).eos_ids == c.eos_ids);
  REQUIRE(parse_hf_generation_config(to_hf_generation_config_json(c), "g").eos_ids == c.eos_ids);
}

TEST_CASE("validate refuses what no model can be") {
  const Config good = parse(k8x22b);
  REQUIRE_NOTHROW(validate(good));
  const auto refuses = [&](const std::string& field, auto change) {
    Config bad = good;
    change(bad);
    require_error(ErrorCode::invalid_argument, {field, "expected", "found"}, [&] { validate(bad); });
  };
  refuses("n_layers", [](Config& c) { c.n_layers = 0; });
  refuses("hidden", [](Config& c) { c.hidden = 1u << 25; });
  refuses("ffn", [](Config& c) { c.ffn = 0; });
  refuses("n_heads", [](Config& c) { c.n_heads = 0; });
  refuses("n_kv_heads", [](Config& c) { c.n_kv_heads = 7; });
  refuses("head_dim", [](Config& c) { c.head_dim = 127; });
  refuses("n_experts", [](Config& c) { c.n_experts = 0; });
  refuses("top_k", [](Config& c) { c.top_k = 9; });
  refuses("top_k", [](Config& c) { c.top_k = 0; });
  refuses("vocab", [](Config& c) { c.vocab = 0; });
  refuses("max_position", [](Config& c) { c.max_position = 0; });
  refuses("rope_theta", [](Config& c) { c.rope_theta = std::numeric_limits<double>::quiet_NaN(); });
  refuses("rms_norm_eps", [](Config& c) { c.rms_norm_eps = 0; });
  refuses("sliding_window", [](Config& c) { c.sliding_window = 0; });
  refuses("bos_id", [](Config& c) { c.bos_id = -1; });
  refuses("eos_ids", [](Config& c) { c.eos_ids = {2, 32000}; });
}

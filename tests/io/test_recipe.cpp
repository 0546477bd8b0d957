#include <map>
#include <string>

#include "io/support/models.hpp"
#include "mixtral/io/recipe.hpp"
#include "support/errors.hpp"

using namespace mixtral;
using test::require_error;

namespace {

const Config kConfig = test::small_config(256, 512);  // 2 layers, 3 experts

std::map<std::string, DType> types_of(const Recipe& recipe, const Config& config = kConfig) {
  std::map<std::string, DType> types;
  for (const TensorType& tensor : apply_recipe(recipe, config)) {
    types[name_of(tensor.key)] = tensor.type;
  }
  return types;
}

Recipe with_rules(std::vector<RecipeRule> rules) { return {"test", DType::bf16, std::move(rules)}; }

/// Names of the tensors that `pattern` selects.
std::string selected(const std::string& pattern) {
  std::string names;
  for (const auto& [name, type] : types_of(with_rules({{pattern, DType::q8_0}}))) {
    if (type == DType::q8_0) names += (names.empty() ? "" : " ") + name;
  }
  return names;
}

}  // namespace

TEST_CASE("a recipe called after a type gives it to every matrix; norms and the router are f32") {
  for (const char* name : {"q4_k", "q8_0", "bf16", "iq4_nl"}) {
    const auto types = types_of(named_recipe(name, kConfig));
    REQUIRE(types.size() == 3 + 2 * (7 + 3 * 3));
    for (const auto& [tensor, type] : types) {
      INFO(tensor);
      const bool f32 = tensor.find("norm") != tensor.npos || tensor.find("router") != tensor.npos;
      REQUIRE(name_of(type) == (f32 ? "f32" : name));
    }
  }
}

TEST_CASE("patterns select tensors by name or role") {
  REQUIRE(selected("lm_head") == "lm_head");
  REQUIRE(selected("embedding") == "embedding");
  REQUIRE(selected("attention_key") == "layers.0.attention_key layers.1.attention_key");
  REQUIRE(selected("layers.1.attention_key") == "layers.1.attention_key");
  REQUIRE(selected("layers.1.attention_*") ==
          "layers.1.attention_key layers.1.attention_output layers.1.attention_query "
          "layers.1.attention_value");
  REQUIRE(selected("layers.0.expert_down.*") ==
          "layers.0.expert_down.0 layers.0.expert_down.1 layers.0.expert_down.2");
  REQUIRE(selected("layers.?.expert_up.1") == "layers.0.expert_up.1 layers.1.expert_up.1");
  REQUIRE(selected("*ex*ga*2") == "layers.0.expert_gate.2 layers.1.expert_gate.2");
  REQUIRE(selected("e?bed?in?") == "embedding");
  REQUIRE(selected("*_down").size() == 6 * std::string("layers.0.expert_down.0").size() + 5);
}

TEST_CASE("the last rule that matches wins") {
  const auto types = types_of(with_rules({{"layers.0.*", DType::q4_0},
                                          {"expert_down", DType::q8_0},
                                          {"layers.*.expert_down.1", DType::q5_0}}));
  REQUIRE(types.at("layers.0.expert_up.1") == DType::q4_0);
  REQUIRE(types.at("layers.0.expert_down.0") == DType::q8_0);
  REQUIRE(types.at("layers.0.expert_down.1") == DType::q5_0);
  REQUIRE(types.at("layers.1.expert_down.1") == DType::q5_0);
  REQUIRE(types.at("layers.1.expert_up.1") == DType::bf16);
  REQUIRE(types.at("layers.0.attention_norm") == DType::f32);
}

TEST_CASE("a rule without a use is an error that says why") {
  const auto invalid = ErrorCode::invalid_argument;
  for (const char* pattern : {"experts", "layers.2.*", "", "expert_down.0", "*expert_down.3"}) {
    require_error(invalid, {"\"test\"", "\"" + std::string(pattern) + "\"", "no tensor"}, [&] {
      types_of(with_rules({{"expert_down", DType::q8_0}, {pattern, DType::q8_0}}));
    });
  }
  for (const char* pattern : {"router", "*_norm", "layers.0.ffn_norm"}) {
    require_error(invalid, {"\"" + std::string(pattern) + "\"", "always f32"},
                  [&] { types_of(with_rules({{pattern, DType::q8_0}})); });
  }
}

TEST_CASE("a hostile pattern takes no time") {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "*e";
  require_error(ErrorCode::invalid_argument, {"no tensor"}, [&] { selected(pattern); });
}

TEST_CASE("a width that doesn't fit: an error, or in mixtures another type") {
  const Config narrow = test::small_config(96, 256);
  require_error(ErrorCode::invalid_argument,
                {"\"q6_k\"", "\"embedding\"", "width of 96", "blocks of 256",
                 "f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, iq4_nl"},
                [&] { types_of(named_recipe("q6_k", narrow), narrow); });
  require_error(ErrorCode::invalid_argument, {"\"layers.0.expert_down.0\"", "width of 40"}, [&] {
    types_of(with_rules({{"expert_down", DType::q8_0}}), test::small_config(64, 40));
  });
  const auto types = types_of(named_recipe("q4_k_mixed", narrow), narrow);
  REQUIRE(types.at("layers.0.expert_up.0") == DType::iq4_nl);
  REQUIRE(types.at("lm_head") == DType::q8_0);
  REQUIRE(types.at("layers.0.expert_down.0") == DType::q4_k);
  REQUIRE(types.at("layers.1.expert_down.0") == DType::q6_k);
  const Config odd = test::small_config(40, 32);
  const auto odd_types = types_of(named_recipe("q5_k_mixed", odd), odd);
  REQUIRE(odd_types.at("embedding") == DType::bf16);
  REQUIRE(odd_types.at("layers.0.expert_down.0") == DType::q5_0);
}

TEST_CASE("mixtures put more bits where llama.cpp's do") {
  Config config = kConfig;
  config.n_layers = 32;
  const auto types = types_of(named_recipe("q4_k_mixed", config), config);
  REQUIRE(types.at("layers.5.attention_value") == DType::q8_0);
  REQUIRE(types.at("lm_head") == DType::q6_k);
  REQUIRE(types.at("layers.5.expert_gate.0") == DType::q4_k);
  std::string layers;
  for (std::size_t i = 0; i < 32; ++i) {
    const DType type = types.at("layers." + std::to_string(i) + ".expert_down.2");
    if (type == DType::q6_k) layers += std::to_string(i) + " ";
    REQUIRE((type == DType::q6_k || type == DType::q4_k));
  }
  REQUIRE(layers == "0 1 2 3 6 9 12 15 18 21 24 27 28 29 30 31 ");
  for (const Mixture& mixture : kMixtures) {
    INFO(mixture.name);
    REQUIRE_NOTHROW(types_of(named_recipe(mixture.name, config), config));
    REQUIRE(describe(mixture).find(name_of(mixture.type)) == 0);
  }
  const auto by_default = types_of(named_recipe(kDefaultRecipe, config), config);
  REQUIRE(by_default.at("embedding") == DType::q8_0);
  REQUIRE(by_default.at("lm_head") == DType::q8_0);
  REQUIRE(by_default.at("layers.4.expert_down.0") == DType::iq4_xs);
  REQUIRE(by_default.at("layers.5.expert_up.0") == DType::iq4_xs);
  REQUIRE(by_default.at("layers.6.expert_down.0") == DType::q5_k);
  require_error(ErrorCode::invalid_argument, {"q4_k_mixed", "iq4_nl", "\"q9\""},
                [&] { named_recipe("q9", config); });
}

TEST_CASE("recipes are read from JSON and written to it") {
  const Recipe recipe = parse_recipe(
      R"({"default": "q4_k", "rules": [{"tensors": "attention_*", "type": "q8_0"},
                                       {"type": "q6_k", "tensors": "lm_head"}]})",
      "some/mine.json");
  REQUIRE(recipe == Recipe{"mine.json",
                           DType::q4_k,
                           {{"attention_*", DType::q8_0}, {"lm_head", DType::q6_k}},
                           false});
  REQUIRE(parse_recipe(to_json(recipe), "other") == recipe);
  REQUIRE(parse_recipe(R"({"default": "f16"})", "plain").rules.empty());
  const Recipe foreign{"\xff", DType::f32, {{"\xff", DType::f32}}};
  REQUIRE_NOTHROW(to_json(foreign));
}

TEST_CASE("a recipe that isn't one is an error that names the place") {
  const auto fails = [](const char* json, std::initializer_list<std::string> parts) {
    require_error(ErrorCode::format, parts, [&] { parse_recipe(json, "r.json"); });
  };
  fails("[]", {"r.json", "object"});
  fails("{", {"r.json", "JSON"});
  fails("{}", {"r.json", "\"default\""});
  fails(R"({"default": 4})", {"\"default\"", "string"});
  fails(R"({"default": "q4"})", {"\"default\"", "q4_k", "\"q4\""});
  fails(R"({"default": "q4_k", "rule": []})", {"\"rule\"", "no such key"});
  fails(R"({"default": "q4_k", "rules": {}})", {"\"rules\"", "an array"});
  fails(R"({"default": "q4_k", "rules": [3]})", {"rules[0]", "object"});
  fails(R"({"default": "q4_k", "rules": [{"tensors": "*", "type": "q8_0"}, {"tensors": "*"}]})",
        {"\"rules[1].type\""});
  fails(R"({"default": "q4_k", "rules": [{"type": "q4_k"}]})", {"\"rules[0].tensors\""});
  fails(R"({"default": "q4_k", "rules": [{"tensors": "*", "type": "x"}]})",
        {"\"rules[0].type\"", "\"x\""});
  fails(R"({"default": "q4_k", "rules": [{"tensors": "*", "type": "q4_k", "layers": 1}]})",
        {"\"rules[0].layers\"", "no such key"});
}

#include "mixtral/io/recipe.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/json.hpp"
#include "core/message.hpp"
#include "io/model_tensors.hpp"
#include "io/native_format.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

using detail::JsonObject;
using detail::quote;
using nlohmann::json;

constexpr const char* kNameKey = "name";
constexpr const char* kDefaultKey = "default";
constexpr const char* kRulesKey = "rules";
constexpr const char* kTensorsKey = "tensors";
constexpr const char* kTypeKey = "type";

/// "f32, f16, bf16, .." for which accept(type) holds.
template <class Accept>
std::string type_names(Accept accept) {
  std::string names;
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    const auto type = static_cast<DType>(i);
    if (accept(type)) names += (names.empty() ? "" : ", ") + std::string(name_of(type));
  }
  return names;
}

std::string all_type_names() {
  return type_names([](DType) { return true; });
}

/// Layers whose expert_down loses most when it has few bits: the first and last eighth, and every third
/// between. llama.cpp's `use_more_bits`.
std::vector<std::size_t> sensitive_layers(std::size_t n_layers) {
  std::vector<std::size_t> layers;
  const std::size_t eighth = n_layers / 8;
  for (std::size_t i = 0; i < n_layers; ++i) {
    if (i < eighth || i >= 7 * n_layers / 8 || (i - eighth) % 3 == 2) layers.push_back(i);
  }
  return layers;
}

Recipe recipe_of(const Mixture& mixture, const Config& config) {
  Recipe recipe{.name = std::string(mixture.name),
                .type = mixture.type,
                .rules = {{"embedding", mixture.embedding},
                          {"attention_*", mixture.attention},
                          {"lm_head", mixture.lm_head}},
                .may_substitute = true};
  if (mixture.expert_down == mixture.type) return recipe;
  for (const std::size_t layer : sensitive_layers(config.n_layers)) {
    recipe.rules.push_back(
        {"layers." + std::to_string(layer) + ".expert_down.*", mixture.expert_down});
  }
  return recipe;
}

/// * matches any characters, ? one. Takes at most pattern.size() * text.size() steps.
bool matches(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0, t = 0;
  std::size_t star = pattern.npos;  // the last one seen: it can swallow more of the text
  std::size_t after_star = 0;       // text at which what follows the star was tried
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after_star = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++after_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

void check_keys(const JsonObject& object, std::initializer_list<const char*> known) {
  for (const auto& [key, value] : object.value().items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      object.fail(key.c_str(), "no such key", value);
    }
  }
}

std::string required_string(const JsonObject& object, const char* key) {
  if (auto text = object.string(key)) return *std::move(text);
  object.fail(key, "a string", json());
}

DType required_type(const JsonObject& object, const char* key) {
  const std::string name = required_string(object, key);
  if (const auto type = dtype_of(name)) return *type;
  object.fail(key, "one of " + all_type_names(), name);
}

RecipeRule parse_rule(const json& value, const std::string& file, std::size_t index) {
  const std::string place = std::string(kRulesKey) + "[" + std::to_string(index) + "]";
  if (!value.is_object()) {
    throw Error(ErrorCode::format, quote(file) + ": " + place + ": expected an object");
  }
  const JsonObject rule(value, file, place + ".");
  check_keys(rule, {kTensorsKey, kTypeKey});
  return {required_string(rule, kTensorsKey), required_type(rule, kTypeKey)};
}

/// Of similar size, with smaller blocks.
DType substitute_of(DType type) noexcept {
  switch (type) {
    case DType::q2_k:
    case DType::q3_k:
    case DType::q4_k:
    case DType::iq4_xs:
      return DType::iq4_nl;
    case DType::q5_k:
      return DType::q5_0;
    case DType::q6_k:
      return DType::q8_0;
    default:
      return DType::bf16;
  }
}

bool fits(DType type, std::size_t cols) noexcept { return cols % block_of(type).elements == 0; }

/// Applies a recipe, and sees to it that each of its rules has a use.
class RecipeApplier {
 public:
  RecipeApplier(const Recipe& recipe, const Config& config)
      : recipe_(recipe), config_(config), uses_(recipe.rules.size()) {}

  std::vector<TensorType> apply() {
    std::vector<TensorType> types;
    visit_tensors(config_, [&](const TensorKey& key) { types.push_back(apply_to(key)); });
    for (std::size_t i = 0; i < uses_.size(); ++i) check_use(recipe_.rules[i], uses_[i]);
    return types;
  }

 private:
  enum class Use { none, always_f32, matrix };

  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorCode::invalid_argument, "recipe " + quote(recipe_.name) + ": " + message);
  }

  void check_use(const RecipeRule& rule, Use use) const {
    if (use == Use::matrix) return;
    fail("rule " + quote(rule.tensors) +
         (use == Use::none ? ": no tensor of the model has such a name or role"
                           : ": norms and the router are always f32"));
  }

  TensorType apply_to(const TensorKey& key) {
    const bool is_f32 = detail::is_always_f32(key.role);
    const std::string name = name_of(key);
    DType type = recipe_.type;
    for (std::size_t i = 0; i < uses_.size(); ++i) {
      const RecipeRule& rule = recipe_.rules[i];
      if (!matches(rule.tensors, name) && !matches(rule.tensors, name_of(key.role))) continue;
      uses_[i] = std::max(uses_[i], is_f32 ? Use::always_f32 : Use::matrix);
      type = rule.type;
    }
    if (is_f32) return {key, DType::f32, DType::f32};
    return {key, fitting(type, detail::shape_of(key.role, config_).cols, name), type};
  }

  DType fitting(DType type, std::size_t cols, const std::string& name) const {
    if (!fits(type, cols) && !recipe_.may_substitute) {
      fail("tensor " + quote(name) + ": its width of " + std::to_string(cols) +
           " is no whole number of " + std::string(name_of(type)) + "'s blocks of " +
           std::to_string(block_of(type).elements) + "; these types would do: " +
           type_names([cols](DType other) { return fits(other, cols); }));
    }
    while (!fits(type, cols)) type = substitute_of(type);
    return type;
  }

  const Recipe& recipe_;
  const Config& config_;
  std::vector<Use> uses_;  // of the rules
};

}  // namespace

std::string describe(const Mixture& mixture) {
  std::string text(name_of(mixture.type));
  text += ", embedding " + std::string(name_of(mixture.embedding));
  text += ", attention " + std::string(name_of(mixture.attention));
  text += ", lm_head " + std::string(name_of(mixture.lm_head));
  if (mixture.expert_down != mixture.type) {
    text += ", expert_down " + std::string(name_of(mixture.expert_down)) + " in half of the layers";
  }
  return text;
}

Recipe named_recipe(std::string_view name, const Config& config) {
  std::string names;
  for (const Mixture& mixture : kMixtures) {
    if (mixture.name == name) return recipe_of(mixture, config);
    names += std::string(mixture.name) + ", ";
  }
  if (const auto type = dtype_of(name)) return {std::string(name), *type, {}, false};
  throw Error(ErrorCode::invalid_argument,
              "recipe: expected one of " + names + all_type_names() + ", found " + quote(name));
}

Recipe parse_recipe(std::string_view text, const std::filesystem::path& path) {
  const std::string& file = path.native();
  const json document = detail::parse_json_object(text, file);
  const JsonObject object(document, file);
  check_keys(object, {kNameKey, kDefaultKey, kRulesKey});
  Recipe recipe{.name = object.string(kNameKey).value_or(path.filename().string()),
                .type = required_type(object, kDefaultKey)};
  const json* rules = object.find(kRulesKey);
  if (rules == nullptr) return recipe;
  if (!rules->is_array()) object.fail(kRulesKey, "an array", *rules);
  for (const json& rule : *rules) {
    recipe.rules.push_back(parse_rule(rule, file, recipe.rules.size()));
  }
  return recipe;
}

std::string to_json(const Recipe& recipe) {
  nlohmann::ordered_json object = {{kNameKey, recipe.name}, {kDefaultKey, name_of(recipe.type)}};
  object[kRulesKey] = json::array();
  for (const RecipeRule& rule : recipe.rules) {
    object[kRulesKey].push_back({{kTensorsKey, rule.tensors}, {kTypeKey, name_of(rule.type)}});
  }
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<TensorType> apply_recipe(const Recipe& recipe, const Config& config) {
  return RecipeApplier(recipe, config).apply();
}

}  // namespace mixtral

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <vector>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/gguf.hpp"

namespace mixtral {
namespace {

/// The layers whose expert_down gets a type of its own.
enum class Layers { none, first_eighth, first_sixteenth, sensitive, all };

/// What llama.cpp's quantize program gives to a model of eight experts.
struct LlamaMixture {
  std::string_view name;
  DType type;
  DType key_value;
  DType output;  // of attention
  DType expert_down;
  Layers down_layers;
  DType lm_head;
};

constexpr LlamaMixture kMixtures[] = {
    {"q2_k", DType::q2_k, DType::q8_0, DType::q5_k, DType::q3_k, Layers::all, DType::q6_k},
    {"q3_k_s", DType::q3_k, DType::q8_0, DType::q5_k, DType::q3_k, Layers::none, DType::q6_k},
    {"q3_k_l", DType::q3_k, DType::q8_0, DType::q3_k, DType::q5_k, Layers::all, DType::q6_k},
    {"q4_0", DType::q4_0, DType::q8_0, DType::q4_0, DType::q4_0, Layers::none, DType::q6_k},
    {"q4_1", DType::q4_1, DType::q8_0, DType::q4_1, DType::q4_1, Layers::none, DType::q6_k},
    {"q4_k_s", DType::q4_k, DType::q8_0, DType::q5_k, DType::q5_k, Layers::first_eighth, DType::q6_k},
    {"q4_k_m", DType::q4_k, DType::q8_0, DType::q5_k, DType::q6_k, Layers::sensitive, DType::q6_k},
    {"q5_0", DType::q5_0, DType::q8_0, DType::q5_0, DType::q5_0, Layers::none, DType::q6_k},
    {"q5_1", DType::q5_1, DType::q8_0, DType::q5_1, DType::q5_1, Layers::none, DType::q6_k},
    {"q5_k_s", DType::q5_k, DType::q8_0, DType::q5_k, DType::q5_k, Layers::none, DType::q6_k},
    {"q5_k_m", DType::q5_k, DType::q8_0, DType::q5_k, DType::q6_k, Layers::sensitive, DType::q6_k},
    {"q6_k", DType::q6_k, DType::q8_0, DType::q6_k, DType::q6_k, Layers::none, DType::q6_k},
    {"iq4_nl", DType::iq4_nl, DType::q8_0, DType::q5_k, DType::q5_k, Layers::first_eighth, DType::q6_k},
    {"iq4_xs", DType::iq4_xs, DType::q8_0, DType::q5_k, DType::q5_k, Layers::first_eighth, DType::q6_k},
};

constexpr std::string_view kQ3KM = "q3_k_m", kMxfp4Moe = "mxfp4_moe";  // of more than one exception

bool is_in(Layers layers, std::size_t i, std::size_t n) noexcept {
  switch (layers) {
    case Layers::none:
      return false;
    case Layers::first_eighth:
      return i < n / 8;
    case Layers::first_sixteenth:
      return i < n / 16;
    case Layers::sensitive:
      return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
    case Layers::all:
      return true;
  }
  return false;
}

void add_expert_down(Layers layers, DType type, const Config& config, Recipe& recipe) {
  if (layers == Layers::all) return recipe.rules.push_back({"expert_down", type});
  for (std::size_t i = 0; i < config.n_layers; ++i) {
    if (!is_in(layers, i, config.n_layers)) continue;
    recipe.rules.push_back({"layers." + std::to_string(i) + ".expert_down.*", type});
  }
}

void add_dense(DType key_value, DType output, DType lm_head, Recipe& recipe) {
  recipe.rules.push_back({"attention_key", key_value});
  recipe.rules.push_back({"attention_value", key_value});
  recipe.rules.push_back({"attention_output", output});
  recipe.rules.push_back({"lm_head", lm_head});
}

/// Where the embedding serves as lm_head, it has that one's type.
void tie(const Config& config, DType lm_head, Recipe& recipe) {
  if (config.tie_embeddings) recipe.rules.push_back({"embedding", lm_head});
}

std::optional<Recipe> llama_recipe(const std::string& name, const Config& config) {
  Recipe recipe{.name = name, .may_substitute = true};
  if (name == kQ3KM) {
    recipe.type = DType::q3_k;
    add_dense(DType::q8_0, DType::q5_k, DType::q6_k, recipe);
    add_expert_down(Layers::all, DType::q4_k, config, recipe);
    add_expert_down(Layers::first_sixteenth, DType::q5_k, config, recipe);
    tie(config, DType::q6_k, recipe);
    return recipe;
  }
  if (name == kMxfp4Moe) {
    recipe.type = DType::q8_0;
    recipe.rules = {{"expert_*", DType::mxfp4}};
    return recipe;
  }
  for (const LlamaMixture& mixture : kMixtures) {
    if (mixture.name != name) continue;
    recipe.type = mixture.type;
    add_dense(mixture.key_value, mixture.output, mixture.lm_head, recipe);
    add_expert_down(mixture.down_layers, mixture.expert_down, config, recipe);
    tie(config, mixture.lm_head, recipe);
    return recipe;
  }
  return std::nullopt;
}

}  // namespace

std::string_view gguf_recipe_names() noexcept {
  return "q2_k, q3_k_s, q3_k_m, q3_k_l, q4_0, q4_1, q4_k_s, q4_k_m, q5_0, q5_1, q5_k_s, q5_k_m, q6_k, q8_0, "
         "iq4_nl, iq4_xs, mxfp4_moe, f16, bf16, f32";
}

Recipe named_gguf_recipe(std::string_view name, const Config& config) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (auto recipe = llama_recipe(lower, config)) return *std::move(recipe);
  try {
    return named_recipe(lower, config);
  } catch (const Error&) {
    throw Error(ErrorCode::invalid_argument, "recipe: expected one of " + std::string(gguf_recipe_names()) +
                                                 " or of those for native files, found " +
                                                 detail::quote(name));
  }
}

}  // namespace mixtral

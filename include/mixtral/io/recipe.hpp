// Recipes: which type each matrix of a model is packed in.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/core/config.hpp"
#include "mixtral/core/dtype.hpp"
#include "mixtral/io/checkpoint.hpp"

namespace mixtral {

/// Gives `type` to the matrices whose name ("layers.3.expert_down.5") or role ("expert_down") matches
/// `tensors`, where * stands for any characters and ? for one.
struct RecipeRule {
  std::string tensors;
  DType type;

  bool operator==(const RecipeRule&) const = default;
};

/// Norms and the router are f32 whatever a recipe says.
struct Recipe {
  std::string name;
  DType type = DType::bf16;            ///< of the matrices that no rule matches
  std::vector<RecipeRule> rules = {};  ///< the last one that matches wins
  /// Whether a matrix whose width is no whole number of its type's blocks takes a type of similar size
  /// with smaller blocks; else that is an error.
  bool may_substitute = false;

  bool operator==(const Recipe&) const = default;
};

/// A recipe that this library knows by name, besides those that are called after their only type.
struct Mixture {
  std::string_view name;
  DType type;         ///< of the expert's matrices
  DType embedding;
  DType attention;    ///< of the four matrices of attention, which every token reads
  DType lm_head;
  DType expert_down;  ///< of those layers where it is known to count: see sensitive_layers in recipe.cpp
};

inline constexpr Mixture kMixtures[] = {
    {"iq4_xs_mixed", DType::iq4_xs, DType::q8_0, DType::q8_0, DType::q8_0, DType::q5_k},
    {"q3_k_mixed", DType::q3_k, DType::q3_k, DType::q6_k, DType::q6_k, DType::q4_k},
    {"q4_k_mixed", DType::q4_k, DType::q4_k, DType::q8_0, DType::q6_k, DType::q6_k},
    {"q5_k_mixed", DType::q5_k, DType::q5_k, DType::q8_0, DType::q6_k, DType::q6_k},
};

/// "q4_k, embedding q4_k, attention q8_0, lm_head q6_k, expert_down q6_k in half of the layers".
std::string describe(const Mixture& mixture);

/// What to pack a model in when nobody says: the least loss at about 4.5 bits (docs/quantisation.md).
inline constexpr std::string_view kDefaultRecipe = "iq4_xs_mixed";

/// The mixture of that name for a model of `config`, or for the name of a type the recipe that gives it to
/// all matrices. Throws Error(invalid_argument) that lists the names when there is none.
Recipe named_recipe(std::string_view name, const Config& config);

/// Reads {"default": "q4_k", "rules": [{"tensors": "attention_*", "type": "q8_0"}, ..]}. `path` stands for
/// the file in messages; its file name is the recipe's name unless there is a key "name". Throws
/// Error(format) naming the place at fault.
Recipe parse_recipe(std::string_view json, const std::filesystem::path& path);

/// `recipe` as parse_recipe reads it, which leaves out may_substitute.
std::string to_json(const Recipe& recipe);

/// The type of one tensor.
struct TensorType {
  TensorKey key;
  DType type;
  DType asked_for;  ///< by the recipe; another one when it was substituted
};

/// Applies a recipe to a model: every tensor, in the order of visit_tensors. Throws
/// Error(invalid_argument) for a rule that matches no matrix, and for a width that doesn't fit the type,
/// naming the tensor and the types that would do.
std::vector<TensorType> apply_recipe(const Recipe& recipe, const Config& config);

}  // namespace mixtral

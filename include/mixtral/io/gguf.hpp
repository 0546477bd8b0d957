// Writes GGUF files, for llama.cpp and what is built on it. open_checkpoint reads them.
#pragma once

#include <filesystem>
#include <string_view>

#include "mixtral/core/config.hpp"
#include "mixtral/core/executor.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/convert.hpp"
#include "mixtral/io/recipe.hpp"

namespace mixtral {

/// What to write when nobody says.
inline constexpr std::string_view kDefaultGgufRecipe = "q4_k_m";

/// The names of llama.cpp's mixtures, separated by ", ".
std::string_view gguf_recipe_names() noexcept;

/// The mixture that llama.cpp's quantize program makes of a Mixtral under that name ("q4_k_m", "q8_0", ..), in
/// upper or lower case; for other names what named_recipe gives. Throws Error(invalid_argument) that
/// lists the names when there is none.
Recipe named_gguf_recipe(std::string_view name, const Config& config);

/// Writes `source`, with its configuration and tokenizer, to a GGUF file (version 3) in the types of
/// `recipe`; otherwise as convert_checkpoint does. Throws Error(unsupported) for a tokenizer that the
/// format can't hold.
ConvertReport convert_to_gguf(const Checkpoint& source, const std::filesystem::path& path,
                              const Recipe& recipe, const ConvertOptions& options, Executor& executor);

}  // namespace mixtral

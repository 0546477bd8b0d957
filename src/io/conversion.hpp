// What conversions to all formats have in common, beside the weights.
#pragma once

#include <filesystem>

#include "mixtral/core/tensor.hpp"
#include "mixtral/io/convert.hpp"
#include "mixtral/io/recipe.hpp"

namespace mixtral::detail {

/// Throws Error(invalid_argument) when the file can't be made under this name because a directory has it, which
/// only the last step, the renaming, would find.
void check_target(const std::filesystem::path& path);

/// Adds a tensor, which gets the layout of `target`, to the report.
void count(const TensorType& tensor, const WeightView& target, ConvertReport& report);

}  // namespace mixtral::detail

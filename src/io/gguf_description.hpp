// The metadata of GGUF files that are written: those of llama.cpp's converter.
#pragma once

#include <string>

#include "io/gguf_writer.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/recipe.hpp"

namespace mixtral::detail {

/// Throws Error(format) for a tokenizer that doesn't fit the model.
GgufMetadataWriter describe_gguf(const Checkpoint& source, const std::string& name, const Recipe& recipe);

}  // namespace mixtral::detail

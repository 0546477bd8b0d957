// Hugging Face model directories: config.json and safetensors, whole or in shards.
#pragma once

#include <filesystem>
#include <memory>

#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

/// Throws Error naming the file, and the tensor or key, at fault.
std::unique_ptr<Checkpoint> open_hf_checkpoint(const std::filesystem::path& directory,
                                               const LoadCallback& on_progress);

}  // namespace mixtral::detail

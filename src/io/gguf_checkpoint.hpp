// Models in GGUF files, whole or split.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "io/gguf.hpp"
#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

/// `path` is the file, or any of the files of a model that is split. Throws Error naming the file, and the
/// tensor or key, at fault.
std::unique_ptr<Checkpoint> open_gguf_checkpoint(const std::filesystem::path& path,
                                                 const LoadCallback& on_progress);

/// The file of the only GGUF model in a directory, the first one when it is split; nothing when there is
/// none. Throws Error(invalid_argument) when there are several.
std::optional<std::filesystem::path> find_gguf_model(const std::filesystem::path& directory);

/// What the metadata say about the model; `is_tied` says that the tensors have no lm_head. Throws
/// Error(format or unsupported) naming the key at fault.
Config gguf_config(const GgufMetadata& metadata, bool is_tied);

}  // namespace mixtral::detail

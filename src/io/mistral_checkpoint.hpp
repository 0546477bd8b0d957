// Directories of Mistral's own checkpoints: params.json and consolidated weights.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

/// True when `directory` holds such a checkpoint and no Hugging Face one.
bool is_mistral_checkpoint(const std::filesystem::path& directory);

/// Of a directory's SentencePiece models the one to take: the newest tokenizer.model.vN, else tokenizer.model. A
/// name with a version says which one the model was trained with, whatever lies beside it.
std::string mistral_tokenizer_name(const std::filesystem::path& directory);

/// Throws Error naming the file, and the tensor or key, at fault.
std::unique_ptr<Checkpoint> open_mistral_checkpoint(const std::filesystem::path& directory,
                                                    const LoadCallback& on_progress);

}  // namespace mixtral::detail

// The tokenizer in the metadata of GGUF files, from and to the files that other formats have.
#pragma once

#include <optional>
#include <string>

#include "io/gguf.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "text/sentencepiece_model.hpp"

namespace mixtral::detail {

/// The vocabulary as a SentencePiece model (tokenizer.model); nothing when the file has none. Throws
/// Error(unsupported) for a vocabulary of another kind, Error(format) for one that isn't consistent.
std::optional<std::string> gguf_tokenizer_model(const GgufMetadata& metadata);

/// BOS, EOS and chat template as tokenizer_config.json; nothing when the file has no vocabulary.
std::optional<std::string> gguf_tokenizer_config(const GgufMetadata& metadata);

/// The vocabulary of a checkpoint; nothing when it has none.
std::optional<SentencePieceModel> sentencepiece_model_of(const Checkpoint& checkpoint);

}  // namespace mixtral::detail

// tokenizer.json as a SentencePiece model.
#pragma once

#include <string_view>

#include "text/sentencepiece_model.hpp"

namespace mixtral::detail {

/// The model whose scores order the merges as the file does. Throws Error as parse_tokenizer_json does, and
/// Error(unsupported) when no scores can.
SentencePieceModel parse_scored_tokenizer_json(std::string_view bytes, std::string_view name);

}  // namespace mixtral::detail

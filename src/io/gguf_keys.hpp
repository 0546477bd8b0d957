// Keys of GGUF metadata that are read and written alike.
#pragma once

namespace mixtral::detail {

/// The ids that end a text: of a sequence, of a turn and of a message. llama.cpp stops at each of them.
inline constexpr const char* kGgufEndKeys[] = {
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.eom_token_id",
};

inline constexpr const char* kGgufTemperature = "general.sampling.temp";
inline constexpr const char* kGgufTopK = "general.sampling.top_k";
inline constexpr const char* kGgufTopP = "general.sampling.top_p";
inline constexpr const char* kGgufMinP = "general.sampling.min_p";
inline constexpr const char* kGgufRepetitionPenalty = "general.sampling.penalty_repeat";

}  // namespace mixtral::detail

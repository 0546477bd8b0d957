// params.json of Mistral's own checkpoints.
#pragma once

#include <string_view>

#include "mixtral/core/config.hpp"

namespace mixtral::detail {

/// Reads the keys of mistral-inference ("dim", "moe": {..}) or those of Hugging Face ("hidden_size",
/// "num_local_experts"). theta is 1e6 where the file doesn't state it, as all Mixtrals have it. The context
/// length is rarely stated: then it is 65536 for 8x22B and 32768 for others. `name` stands for the
/// file in messages. Throws Error(format) for malformed JSON, missing sizes and wrong types, and
/// Error(unsupported) for what isn't a plain mixture of experts.
Config parse_mistral_params(std::string_view json, std::string_view name);

}  // namespace mixtral::detail

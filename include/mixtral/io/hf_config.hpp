// config.json and generation_config.json of a Hugging Face model directory.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/core/config.hpp"
#include "mixtral/core/dtype.hpp"

namespace mixtral {

/// Reads a config.json as transformers 4 or 5 writes it; absent keys take the defaults of
/// transformers' MixtralConfig. How weights are quantised is left to the reader of the weights.
/// `name` stands for the file in messages.
/// Throws Error(format) for malformed JSON, a wrong type or an absurd value, and Error(unsupported)
/// for a model that this library doesn't implement: another architecture or activation, RoPE
/// scaling, biases. The message names the key.
Config parse_hf_config(std::string_view json, std::string_view name);

struct HfGenerationConfig {
  GenerationDefaults defaults;
  std::optional<std::vector<TokenId>> eos_ids;  ///< when stated, they replace config.json's
};

/// Reads a generation_config.json. Keys of sampling methods that GenerationDefaults doesn't know are
/// ignored. Throws Error(format).
HfGenerationConfig parse_hf_generation_config(std::string_view json, std::string_view name);

/// The config.json of `config`, with both spellings of what transformers 4 and 5 spell differently.
std::string to_hf_config_json(const Config& config, DType dtype);

/// The generation_config.json of `config`, with the defaults that are set.
std::string to_hf_generation_config_json(const Config& config, const GenerationDefaults& defaults = {});

}  // namespace mixtral

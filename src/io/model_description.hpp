// What the JSON files of a model say about it.
#pragma once

#include <optional>
#include <string>

#include "mixtral/core/config.hpp"

namespace mixtral::detail {

struct NamedText {
  std::string name;  ///< of the file, for messages
  std::string text;
};

struct ModelDescription {
  Config config;
  GenerationDefaults defaults;
};

/// From config.json and generation_config.json, if there is one. Throws Error as their parsers do.
ModelDescription describe_model(const NamedText& config, const std::optional<NamedText>& generation);

}  // namespace mixtral::detail

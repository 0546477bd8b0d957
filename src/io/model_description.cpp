#include "io/model_description.hpp"

#include <utility>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/hf_config.hpp"

namespace mixtral::detail {

ModelDescription describe_model(const NamedText& config, const std::optional<NamedText>& generation) {
  ModelDescription result{parse_hf_config(config.text, config.name), {}};
  if (!generation) return result;
  HfGenerationConfig parsed = parse_hf_generation_config(generation->text, generation->name);
  result.defaults = parsed.defaults;
  if (!parsed.eos_ids) return result;
  result.config.eos_ids = std::move(*parsed.eos_ids);
  try {
    validate(result.config);
  } catch (const Error& e) {
    throw Error(ErrorCode::format, quote(generation->name) + ": " + e.what());
  }
  return result;
}

}  // namespace mixtral::detail

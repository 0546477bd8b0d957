// Any text is a config.json of a valid model, or an Error; the same for generation_config.json.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "check.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/hf_config.hpp"

namespace {

void check_code(const mixtral::Error& error) {
  check(error.code() == mixtral::ErrorCode::format ||
        error.code() == mixtral::ErrorCode::unsupported);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::optional<mixtral::Config> config;
  try {
    config = mixtral::parse_hf_config(text, "config.json");
  } catch (const mixtral::Error& error) {
    check_code(error);
  }
  if (config) {
    mixtral::validate(*config);
    const auto json = mixtral::to_hf_config_json(*config, mixtral::DType::bf16);
    check(mixtral::parse_hf_config(json, "again").rope_theta == config->rope_theta);
  }
  try {
    mixtral::parse_hf_generation_config(text, "generation_config.json");
  } catch (const mixtral::Error& error) {
    check_code(error);
  }
  return 0;
}

// Any text is a recipe that can be written and read again, and applied or refused, or an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "check.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/recipe.hpp"

namespace {

mixtral::Config small_config() {
  mixtral::Config config;
  config.n_layers = 2;
  config.hidden = 64;
  config.ffn = 256;
  config.n_heads = config.n_kv_heads = 2;
  config.head_dim = 32;
  config.n_experts = 2;
  config.vocab = 8;
  return config;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mixtral;
  Recipe recipe;
  try {
    recipe = parse_recipe({reinterpret_cast<const char*>(data), size}, "fuzz.json");
  } catch (const Error& error) {
    check(error.code() == ErrorCode::format);
    return 0;
  }
  check(parse_recipe(to_json(recipe), "other.json") == recipe);
  try {
    const auto types = apply_recipe(recipe, small_config());
    check(types.size() == 3 + 2 * (7 + 2 * 3));
  } catch (const Error& error) {
    check(error.code() == ErrorCode::invalid_argument);
  }
  return 0;
}

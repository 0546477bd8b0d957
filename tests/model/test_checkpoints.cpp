// Models in other forms than Hugging Face's, run as they are.
#include "model/golden.hpp"
#include "support/catch.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

const std::filesystem::path kCheckpoints = std::filesystem::path(MIXTRAL_GOLDENS_DIR) / "checkpoints";

std::vector<float> f32_logits(const char* name, std::span<const TokenId> prompt) {
  return Runner(kCheckpoints / name, {.precision = Precision::f32}, DType::f32).logits(prompt);
}

}  // namespace

TEST_CASE("Mistral's own checkpoints give the logits that transformers computes once they are converted") {
  const Golden golden(kCheckpoints / "hf");
  for (const char* name : {"hf", "stacked", "experts", "strided", "safetensors"}) {
    INFO(name);
    CHECK(relative_error(f32_logits(name, golden.ints("prompt_ids")), golden.floats("logits")) <= 1e-5);
  }
}

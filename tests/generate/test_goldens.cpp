#include "mixtral/generate/model.hpp"
#include "model/golden.hpp"
#include "support/catch.hpp"

using namespace mixtral;

TEST_CASE("generation continues as transformers does") {
  for (const auto& path : test::golden_models()) {
    INFO(path.filename());
    const test::Golden golden(path);
    const std::vector<TokenId> expected = golden.ints("greedy_ids");
    const std::vector<float> margins = golden.floats("greedy_margins");
    const std::vector<float> largest = golden.floats("greedy_max_abs_logits");
    const Model model = mixtral::load(path, {.compute = {.precision = Precision::f32}});
    const std::vector<TokenId> found =
        model
            .generate(golden.ints("prompt_ids"),
                      {.max_new_tokens = expected.size(), .sampling = SamplingOptions{}})
            .run()
            .ids;
    REQUIRE(found.size() > 0);
    REQUIRE((found.size() == expected.size() || found.back() == model.config().eos_ids[0]));
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (margins[i] <= 2e-5f * largest[i]) break;  // within the tolerance of either logit
      REQUIRE(found[i] == expected[i]);
    }
  }
}

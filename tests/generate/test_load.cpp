#include <filesystem>
#include <fstream>

#include "generate/tiny_model.hpp"
#include "mixtral/generate/batch.hpp"
#include "mixtral/generate/context.hpp"
#include "mixtral/io/convert.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

const std::filesystem::path kShippedModel = MIXTRAL_EXAMPLES_DIR "/models/pocket-mixtral";

/// A copy of the shipped model's files, those named in `without` left out.
class ModelCopy {
 public:
  explicit ModelCopy(const std::string& name, const std::vector<std::string>& without) {
    path = std::filesystem::temp_directory_path() / ("mixtral-test-load-" + name);
    std::filesystem::remove_all(path);
    std::filesystem::create_directory(path);
    for (const auto& file : std::filesystem::directory_iterator(kShippedModel)) {
      const std::string filename = file.path().filename();
      if (std::find(without.begin(), without.end(), filename) == without.end()) {
        std::filesystem::copy(file.path(), path / filename);
      }
    }
  }
  ~ModelCopy() { std::filesystem::remove_all(path); }

  std::filesystem::path path;
};

}  // namespace

TEST_CASE("the main path: load, iterate over pieces of text") {
  const Model model = mixtral::load(kShippedModel);
  std::string text;
  for (std::string_view piece : model.generate("Once upon a time", {.max_new_tokens = 20})) {
    text += piece;
  }
  REQUIRE(!text.empty());
  REQUIRE(model.chat_version() == ChatVersion::v1);
  REQUIRE(model.tokenizer().decode(model.tokenize("Once upon a time")) == "Once upon a time");
}

TEST_CASE("a native file holds all that a model needs") {
  const test::TempDir dir;
  const auto source = open_checkpoint(kShippedModel);
  SerialExecutor serial;
  convert_checkpoint(*source, dir / "packed", named_recipe("bf16", source->config()), {}, serial);
  const LoadOptions exact{.compute = {.precision = Precision::f32}};
  const Model model = mixtral::load(kShippedModel, exact);
  const Model packed = mixtral::load(dir / "packed", exact);
  const std::vector<TokenId> ids = model.tokenize("Once upon a time, there was a fox.");
  REQUIRE(packed.tokenize("Once upon a time, there was a fox.") == ids);
  REQUIRE(load_tokenizer(dir / "packed")->encode("fox") == load_tokenizer(kShippedModel)->encode("fox"));
  REQUIRE(packed.default_sampling().temperature == model.default_sampling().temperature);
  REQUIRE(packed.config() == model.config());

  const auto logits = [&](const Model& of) {
    Context context(of);
    std::vector<float> all;
    context.eval(ids, [&](std::size_t, MatrixView<const float> rows) {
      for (std::size_t i = 0; i < rows.rows; ++i) {
        all.insert(all.end(), rows.row(i).begin(), rows.row(i).end());
      }
    });
    return all;
  };
  REQUIRE(test::relative_error(logits(packed), logits(model)) < 1e-4);
}

TEST_CASE("a checkpoint without tokenizer loads for ids") {
  const ModelCopy copy("ids", {"tokenizer.model", "tokenizer.json"});
  const Model model = mixtral::load(copy.path);
  REQUIRE(!model.has_tokenizer());
  const std::vector<TokenId> prompt = {1, 300, 301};
  REQUIRE(model.generate(prompt, {.max_new_tokens = 3}).run().ids.size() >= 1);
}

TEST_CASE("loading reports progress and can be cancelled") {
  std::size_t n_calls = 0;
  mixtral::load(kShippedModel, {.on_progress = [&](const LoadProgress& progress) {
                  REQUIRE(progress.done <= progress.total);
                  ++n_calls;
                  return true;
                }});
  REQUIRE(n_calls > 0);
  const LoadOptions cancel{.on_progress = [](const LoadProgress&) { return false; }};
  REQUIRE(error_of([&] { mixtral::load(kShippedModel, cancel); }).code() == ErrorCode::cancelled);
}

TEST_CASE("what can't be loaded is an error that names the path") {
  const Error missing = error_of([] { mixtral::load("/nonexistent/model"); });
  REQUIRE(missing.code() == ErrorCode::io);
  REQUIRE(std::string(missing.what()).find("/nonexistent/model") != std::string::npos);

  const ModelCopy copy("vocabulary", {"tokenizer.model", "tokenizer.json"});
  std::filesystem::copy(MIXTRAL_GOLDENS_DIR "/../text/data/small.model",
                        copy.path / "tokenizer.model");
  const Error mismatch = error_of([&] { mixtral::load(copy.path); });
  REQUIRE(mismatch.code() == ErrorCode::invalid_argument);
  REQUIRE(std::string(mismatch.what()).find(copy.path.string()) != std::string::npos);
}

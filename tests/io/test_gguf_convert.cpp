// Writing GGUF files.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "io/gguf.hpp"
#include "io/model_tensors.hpp"
#include "io/support/files.hpp"
#include "io/support/models.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/io/gguf.hpp"
#include "mixtral/io/hf_config.hpp"
#include "mixtral/text/tokenizer.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::require_error;
namespace fs = std::filesystem;

namespace {

const fs::path kShipped = fs::path(MIXTRAL_EXAMPLES_DIR) / "models/pocket-mixtral";

ConvertReport to_gguf(const fs::path& from, const fs::path& to, std::string_view recipe,
                      std::size_t n_threads = 1) {
  ThreadPool pool(n_threads);
  const auto source = open_checkpoint(from);
  return convert_to_gguf(*source, to, named_gguf_recipe(recipe, source->config()), {}, pool);
}

/// Row `row` of heads in half-split order, as interleaved order numbers it.
std::size_t interleaved(std::size_t row, std::size_t head_dim) {
  const std::size_t half = head_dim / 2, i = row % head_dim;
  return row - i + (i < half ? 2 * i : 2 * (i - half) + 1);
}

/// Requires that `file` holds what `source`, which has half-split heads, becomes in the types of the recipe.
void require_written(const Checkpoint& source, const Checkpoint& file, const Recipe& recipe) {
  Config expected_config = source.config();
  if (expected_config.eos_ids.size() > 3) expected_config.eos_ids.resize(3);  // more have no keys
  REQUIRE(file.config() == expected_config);
  REQUIRE(file.rotary_order() == RotaryOrder::interleaved);
  for (const TensorType& tensor : apply_recipe(recipe, source.config())) {
    if (source.config().tie_embeddings && tensor.key.role == TensorRole::lm_head) continue;
    INFO(name_of(tensor.key));
    const WeightView from = source.tensor(tensor.key), to = file.tensor(tensor.key);
    REQUIRE(name_of(to.dtype) == name_of(tensor.type));
    const std::vector<std::byte> expected = test::expected_rows(from, tensor.type);
    const std::vector<std::byte> actual = test::rows_of(to);
    const bool has_heads = tensor.key.role == TensorRole::query || tensor.key.role == TensorRole::key;
    const std::size_t n = to.row_bytes();
    for (std::size_t row = 0; row < from.rows; ++row) {
      const std::size_t place = has_heads ? interleaved(row, source.config().head_dim) : row;
      REQUIRE(std::equal(&expected[row * n], &expected[row * n] + n, &actual[place * n]));
    }
  }
}

std::map<std::string, std::string> types_of(std::string_view recipe, const Config& config) {
  std::map<std::string, std::string> types;
  for (const TensorType& tensor : apply_recipe(named_gguf_recipe(recipe, config), config)) {
    types[name_of(tensor.key)] = name_of(tensor.type);
  }
  return types;
}

}  // namespace

TEST_CASE("a model written to GGUF in any type holds its weights, rounded") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(256, 512));
  const auto source = open_checkpoint(dir / "model");
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    const auto type = static_cast<DType>(i);
    INFO(name_of(type));
    SerialExecutor serial;
    const Recipe recipe{std::string(name_of(type)), type, {}, false};
    convert_to_gguf(*source, dir / "out.gguf", recipe, {}, serial);
    require_written(*source, *open_checkpoint(dir / "out.gguf"), recipe);
  }
}

TEST_CASE("every golden model can be written to GGUF, and tied ones without lm_head") {
  for (const auto& entry : fs::directory_iterator(fs::path(MIXTRAL_GOLDENS_DIR) / "models")) {
    if (!fs::exists(entry.path() / "config.json")) continue;
    INFO(entry.path());
    const test::TempDir dir;
    const auto source = open_checkpoint(entry.path());
    to_gguf(entry.path(), dir / "out.gguf", "q4_k_m");
    const auto written = open_checkpoint(dir / "out.gguf");
    require_written(*source, *written, named_gguf_recipe("q4_k_m", source->config()));
    const bool has_lm_head = written->stored({TensorRole::lm_head}).name == "output.weight";
    REQUIRE(has_lm_head == !source->config().tie_embeddings);
  }
}

TEST_CASE("from native files and GGUF files the same GGUF files come") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(256, 512));
  for (const char* type : {"bf16", "q8_0", "f32"}) {
    INFO(type);
    const fs::path direct = dir / "direct" / "model.gguf", other = dir / "other" / "model.gguf";
    fs::create_directories(direct.parent_path());
    fs::create_directories(other.parent_path());
    to_gguf(dir / "model", direct, type);
    test::pack(dir / "model", dir / "native", type);
    to_gguf(dir / "native", other, type);
    REQUIRE(test::read_file(other) == test::read_file(direct));
    to_gguf(direct, other, type, 3);
    REQUIRE(test::read_file(other) == test::read_file(direct));
    // And back: a native file doesn't tell where it came from but by its config.json.
    test::pack(direct, dir / "back", type);
    const auto native = open_checkpoint(dir / "native"), back = open_checkpoint(dir / "back");
    REQUIRE(back->config() == native->config());
    visit_tensors(native->config(), [&](const TensorKey& key) {
      INFO(name_of(key));
      REQUIRE(test::rows_of(back->tensor(key)) == test::rows_of(native->tensor(key)));
    });
  }
}

TEST_CASE("the mixtures of llama.cpp") {
  Config config = test::small_config(256, 512);
  config.n_layers = 32;
  auto types = types_of("Q4_K_M", config);
  REQUIRE(types["embedding"] == "q4_k");
  REQUIRE(types["lm_head"] == "q6_k");
  REQUIRE(types["layers.0.attention_query"] == "q4_k");
  REQUIRE(types["layers.0.attention_key"] == "q8_0");
  REQUIRE(types["layers.0.attention_value"] == "q8_0");
  REQUIRE(types["layers.0.attention_output"] == "q5_k");
  REQUIRE(types["layers.0.router"] == "f32");
  REQUIRE(types["layers.0.expert_up.1"] == "q4_k");
  std::vector<std::size_t> more;
  for (std::size_t i = 0; i < 32; ++i) {
    if (types["layers." + std::to_string(i) + ".expert_down.0"] == "q6_k") more.push_back(i);
  }
  REQUIRE(more == std::vector<std::size_t>{0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31});
  types = types_of("q3_k_m", config);
  REQUIRE(types["layers.1.expert_down.0"] == "q5_k");
  REQUIRE(types["layers.2.expert_down.0"] == "q4_k");
  types = types_of("q4_k_s", config);
  REQUIRE(types["layers.3.expert_down.2"] == "q5_k");
  REQUIRE(types["layers.4.expert_down.2"] == "q4_k");
  types = types_of("mxfp4_moe", config);
  REQUIRE(types["layers.4.expert_down.2"] == "mxfp4");
  REQUIRE(types["layers.4.attention_key"] == "q8_0");
  types = types_of("q8_0", config);
  REQUIRE(types["lm_head"] == "q8_0");
  config.tie_embeddings = true;
  REQUIRE(types_of("q4_k_m", config)["embedding"] == "q6_k");
  require_error(ErrorCode::invalid_argument, {"q9_z"}, [&] { named_gguf_recipe("q9_z", config); });
}

TEST_CASE("the names of GGUF recipes are all known") {
  const Config config = test::small_config(256, 512);
  std::string names(gguf_recipe_names());
  while (!names.empty()) {
    const std::string name = names.substr(0, names.find(','));
    INFO(name);
    REQUIRE_NOTHROW(apply_recipe(named_gguf_recipe(name, config), config));
    names.erase(0, name.size() == names.size() ? names.size() : name.size() + 2);
  }
}

TEST_CASE("the tokenizer survives in GGUF files, from tokenizer.model as from tokenizer.json") {
  const test::TempDir dir;
  const auto source = open_checkpoint(kShipped);
  to_gguf(kShipped, dir / "model.gguf", "q8_0");
  fs::create_directory(dir / "json");
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
    fs::copy_file(kShipped / name, dir / "json" / name);
  }
  to_gguf(dir / "json", dir / "json.gguf", "q8_0");
  const auto original = *source->file("tokenizer.model");
  const auto expected = parse_sentencepiece(test::as_bytes(original), "expected");
  for (const char* name : {"model.gguf", "json.gguf"}) {
    INFO(name);
    const auto model = open_checkpoint(dir / name)->file("tokenizer.model");
    const auto actual = parse_sentencepiece(test::as_bytes(*model), name);
    REQUIRE(actual->vocab_size() == expected->vocab_size());
    for (const char* text :
         {"Once upon a time, there was a fox.", " two  spaces\n", "naïve 日本 🙂", "<s>[INST]"}) {
      REQUIRE(actual->encode(text) == expected->encode(text));
    }
    for (TokenId id = 0; id < static_cast<TokenId>(expected->vocab_size()); ++id) {
      REQUIRE(actual->piece(id) == expected->piece(id));
      REQUIRE(actual->kind(id) == expected->kind(id));
    }
  }
}

TEST_CASE("all ids that end a text, and how to sample, survive in GGUF files") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  const auto convert = [&](const std::string& generation) {
    test::write_file(dir / "model/generation_config.json", generation);
    to_gguf(dir / "model", dir / "out.gguf", "bf16");
    return open_checkpoint(dir / "out.gguf");
  };
  const auto sampled = convert(R"({"eos_token_id":[2,7,9],"do_sample":true,"temperature":0.6,"top_k":40,)"
                               R"("top_p":0.9,"min_p":0.05,"repetition_penalty":1.1})");
  REQUIRE(sampled->config().eos_ids == std::vector<TokenId>{2, 7, 9});
  const GenerationDefaults& defaults = sampled->generation_defaults();
  REQUIRE(defaults.do_sample == true);
  REQUIRE(defaults.temperature == 0.6);
  REQUIRE(defaults.top_k == std::size_t{40});
  REQUIRE(defaults.top_p == 0.9);
  REQUIRE(defaults.min_p == 0.05);
  REQUIRE(defaults.repetition_penalty == 1.1);
  const auto text = *sampled->file("generation_config.json");
  const HfGenerationConfig written = parse_hf_generation_config(text, "generation_config.json");
  REQUIRE(written.eos_ids == sampled->config().eos_ids);
  REQUIRE(written.defaults.do_sample == true);
  REQUIRE(written.defaults.temperature == 0.6);
  REQUIRE(written.defaults.top_k == std::size_t{40});

  const auto four = convert(R"({"eos_token_id":[2,7,9,11],"do_sample":false,"temperature":0.6})");
  REQUIRE(four->config().eos_ids == std::vector<TokenId>{2, 7, 9});  // there are three keys
  REQUIRE(four->generation_defaults().do_sample == false);
  REQUIRE_FALSE(four->generation_defaults().temperature);

  const auto silent = convert(R"({"eos_token_id":2,"temperature":0.6})");  // transformers doesn't sample
  REQUIRE_FALSE(silent->generation_defaults().do_sample);
  REQUIRE_FALSE(silent->generation_defaults().temperature);
}

TEST_CASE("a vocabulary smaller than the model is filled up, a larger one refused") {
  const test::TempDir dir;
  Config config = test::small_config(64, 96);
  config.vocab = 2100;  // the shipped tokenizer has 2048
  test::write_model(dir / "model", config);
  fs::copy_file(kShipped / "tokenizer.model", dir / "model/tokenizer.model");
  to_gguf(dir / "model", dir / "out.gguf", "bf16");
  const auto model = open_checkpoint(dir / "out.gguf")->file("tokenizer.model");
  REQUIRE(parse_sentencepiece(test::as_bytes(*model), "out")->vocab_size() == 2100);
  config.vocab = 2000;
  test::write_model(dir / "small", config);
  fs::copy_file(kShipped / "tokenizer.model", dir / "small/tokenizer.model");
  require_error(ErrorCode::format, {"tokenizer", "2000"}, [&] { to_gguf(dir / "small", dir / "no.gguf", "bf16"); });
  REQUIRE_FALSE(fs::exists(dir / "no.gguf"));
}

TEST_CASE("recipes that GGUF can't hold, and targets that can't be") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  const auto source = open_checkpoint(dir / "model");
  SerialExecutor serial;
  const Recipe uneven{"uneven", DType::q8_0, {{"layers.1.expert_up.2", DType::bf16}}, false};
  require_error(ErrorCode::invalid_argument, {"layers.1.expert_up.2", "bf16", "q8_0"},
                [&] { convert_to_gguf(*source, dir / "out.gguf", uneven, {}, serial); });
  const Recipe plain{"bf16", DType::bf16, {}, false};
  require_error(ErrorCode::invalid_argument, {"directory"},
                [&] { convert_to_gguf(*source, dir.path(), plain, {}, serial); });
  ConvertOptions stop;
  stop.on_progress = [](const ConvertProgress& progress) { return progress.done == 0; };
  require_error(ErrorCode::cancelled, {}, [&] { convert_to_gguf(*source, dir / "out.gguf", plain, stop, serial); });
  REQUIRE(test::count_entries(dir.path()) == 1);
}

#include "mixtral/io/hf_writer.hpp"

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "io/support/checkpoints.hpp"
#include "io/support/file_size_limit.hpp"
#include "io/support/files.hpp"
#include "io/support/models.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/io/safetensors.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::kCheckpoints;
using test::require_error;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

ConvertReport write(const fs::path& from, const fs::path& to, const HfOptions& options = {}) {
  ThreadPool pool(2);
  return write_hf_checkpoint(*open_checkpoint(from), to, options, pool);
}

/// name -> dtype, shape and bytes of all tensors of a directory.
std::map<std::string, std::string> tensors_in(const fs::path& directory) {
  std::map<std::string, std::string> tensors;
  for (const auto& file : fs::directory_iterator(directory)) {
    const std::string name = file.path().filename();
    if (!name.starts_with("model") || !name.ends_with(".safetensors")) continue;
    const SafetensorsFile shard(file.path());
    for (const SafetensorsEntry& entry : shard.header().tensors) {
      const auto data = shard.data(entry);
      tensors[entry.name] = std::string(entry.dtype) + json(entry.shape).dump() +
                            std::string(reinterpret_cast<const char*>(data.data()), data.size());
    }
  }
  return tensors;
}

json read_json(const fs::path& path) { return json::parse(test::read_file(path)); }

}  // namespace

TEST_CASE("Hugging Face to native and back is bit-exact") {
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    INFO(name_of(dtype));
    const test::TempDir dir;
    test::write_model(dir / "hf", test::small_config(64, 48), dtype);
    test::pack(dir / "hf", dir / "native", name_of(dtype));
    const ConvertReport report = write(dir / "native", dir / "back");
    REQUIRE(tensors_in(dir / "back") == tensors_in(dir / "hf"));
    REQUIRE(report.weight_bytes == open_checkpoint(dir / "hf")->weight_bytes());
    REQUIRE(report.n_weights * size_of(dtype) == report.weight_bytes);
    REQUIRE(read_json(dir / "back/config.json") == read_json(dir / "hf/config.json"));
    write(dir / "hf", dir / "direct");
    REQUIRE(tensors_in(dir / "direct") == tensors_in(dir / "hf"));
  }
}

TEST_CASE("Mistral's own checkpoints become what transformers' converter makes of them") {
  const test::TempDir dir;
  for (const char* name : {"stacked", "safetensors", "strided"}) {
    INFO(name);
    write(kCheckpoints / name, dir / name, {.dtype = DType::bf16});
    REQUIRE(tensors_in(dir / name) == tensors_in(kCheckpoints / "hf"));
  }
  write(kCheckpoints / "experts", dir / "experts");
  REQUIRE(read_json(dir / "experts/config.json").at("torch_dtype") == "float16");
  test::require_same_weights(*open_checkpoint(dir / "experts"), *open_checkpoint(kCheckpoints / "hf"));
}

TEST_CASE("a quantised checkpoint is written with plain weights") {
  const test::TempDir dir;
  write(kCheckpoints / "gptq4", dir / "out");
  const json config = read_json(dir / "out/config.json");
  REQUIRE_FALSE(config.contains("quantization_config"));
  REQUIRE(config.at("torch_dtype") == "float16");
  test::require_same_weights(*open_checkpoint(dir / "out"), *open_checkpoint(kCheckpoints / "gptq4"));
}

TEST_CASE("shards hold what the index says, each within its size") {
  const test::TempDir dir;
  const auto config = test::small_config(64, 48);
  test::write_model(dir / "hf", config);
  constexpr std::size_t kShardBytes = 20000;
  write(dir / "hf", dir / "shards", {.max_shard_bytes = kShardBytes});
  const json index = read_json(dir / "shards/model.safetensors.index.json");
  REQUIRE(index.at("metadata").at("total_size") == open_checkpoint(dir / "hf")->weight_bytes());
  std::size_t n_shards = 0;
  for (const auto& file : fs::directory_iterator(dir / "shards")) {
    if (file.path().extension() != ".safetensors") continue;
    ++n_shards;
    const SafetensorsFile shard(file.path());
    std::size_t bytes = 0;
    for (const SafetensorsEntry& entry : shard.header().tensors) {
      REQUIRE(index.at("weight_map").at(entry.name) == file.path().filename().native());
      bytes += entry.bytes;
    }
    REQUIRE(bytes <= kShardBytes);
    REQUIRE(shard.header().metadata == std::map<std::string, std::string>{{"format", "pt"}});
  }
  REQUIRE(n_shards > 3);
  REQUIRE(tensors_in(dir / "shards") == tensors_in(dir / "hf"));
  test::require_same_weights(*open_checkpoint(dir / "shards"), *open_checkpoint(dir / "hf"));
}

TEST_CASE("tied embeddings are stored once") {
  const test::TempDir dir;
  Config config = test::small_config(64, 48);
  config.tie_embeddings = true;
  test::write_model(dir / "hf", config);
  write(dir / "hf", dir / "out");
  REQUIRE(tensors_in(dir / "out") == tensors_in(dir / "hf"));
}

TEST_CASE("the other files of a model") {
  const test::TempDir dir;
  test::write_model(dir / "hf", test::small_config(64, 48));
  json config = read_json(dir / "hf/config.json");
  config["router_aux_loss_coef"] = 0.5;
  config["dtype"] = config["torch_dtype"];
  test::write_file(dir / "hf/config.json", config.dump());
  test::write_file(dir / "hf/generation_config.json", R"({"eos_token_id":[2,5]})");
  test::write_file(dir / "hf/tokenizer.model", "spm");
  test::write_file(dir / "hf/chat_template.jinja", "{{ x }}");
  write(dir / "hf", dir / "out", {.dtype = DType::f16});
  const json written = read_json(dir / "out/config.json");
  REQUIRE(written.at("router_aux_loss_coef") == 0.5);
  REQUIRE(written.at("dtype") == "float16");
  REQUIRE_FALSE(written.contains("torch_dtype"));
  REQUIRE(test::read_file(dir / "out/generation_config.json") == R"({"eos_token_id":[2,5]})");
  REQUIRE(test::read_file(dir / "out/tokenizer.model") == "spm");
  REQUIRE(test::read_file(dir / "out/chat_template.jinja") == "{{ x }}");
  REQUIRE(read_json(dir / "out/tokenizer_config.json").at("tokenizer_class") == "LlamaTokenizer");

  test::write_file(dir / "hf/tokenizer_config.json", "{\"mine\": 1}");
  write(dir / "hf", dir / "again");
  REQUIRE(test::read_file(dir / "again/tokenizer_config.json") == "{\"mine\": 1}");
  REQUIRE_FALSE(fs::exists(dir / "hf/special_tokens_map.json"));
}

TEST_CASE("what can't be written leaves nothing behind") {
  const test::TempDir dir;
  test::write_model(dir / "hf", test::small_config(64, 48));
  const auto require_alone = [&] { REQUIRE(test::count_entries(dir.path()) == 1); };
  require_error(ErrorCode::invalid_argument, {"f32, f16 or bf16", "q8_0"},
                [&] { write(dir / "hf", dir / "out", {.dtype = DType::q8_0}); });
  require_error(ErrorCode::cancelled, {"cancelled"}, [&] {
    write(dir / "hf", dir / "out", {.on_progress = [](const ConvertProgress& p) { return p.done == 0; }});
  });
  {
    const test::FileSizeLimit limit(10000);
    require_error(ErrorCode::io, {"out"}, [&] { write(dir / "hf", dir / "out"); });
  }
  require_alone();
  require_error(ErrorCode::invalid_argument, {"hf", "taken"}, [&] { write(dir / "hf", dir / "hf"); });
  require_alone();
}

#include <string>

#include "io/mistral_config.hpp"
#include "io/support/checkpoints.hpp"
#include "io/support/files.hpp"
#include "mixtral/generate/model.hpp"
#include "mixtral/io/hf_config.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::kCheckpoints;
using test::replace;
using test::require_error;
namespace fs = std::filesystem;

namespace {

/// A copy of a golden that a test may spoil.
struct Original : test::TempDir {
  explicit Original(const char* name) {
    fs::copy(kCheckpoints / name, path(), fs::copy_options::recursive);
  }

  void edit(const char* file, const std::string& what, const std::string& by) const {
    test::write_file(*this / file, replace(test::read_file(*this / file), what, by));
  }

  void fails(ErrorCode code, std::initializer_list<std::string> parts) const {
    const std::size_t descriptors = test::count_descriptors();
    require_error(code, parts, [&] { open_checkpoint(path()); });
    REQUIRE(test::count_descriptors() == descriptors);
  }
};

const std::string kParams =
    R"({"dim":64,"n_layers":2,"head_dim":16,"hidden_dim":96,"n_heads":4,"n_kv_heads":2,"norm_eps":1e-06,)"
    R"("vocab_size":100,"moe":{"num_experts_per_tok":3,"num_experts":5}})";

Config parse(const std::string& json) { return detail::parse_mistral_params(json, "params.json"); }

std::string with(const std::string& members) {
  return replace(kParams, "\"moe\"", members + ",\"moe\"");
}

}  // namespace

TEST_CASE("Mistral's own checkpoints hold what transformers' converter finds in them") {
  const auto hf = open_checkpoint(kCheckpoints / "hf");
  for (const auto& [name, dtype] : {std::pair("stacked", DType::bf16), std::pair("experts", DType::f16),
                                    std::pair("strided", DType::f32), std::pair("safetensors", DType::bf16)}) {
    INFO(name);
    const auto original = open_checkpoint(kCheckpoints / name);
    REQUIRE(original->rotary_order() == RotaryOrder::interleaved);
    Config config = original->config();
    config.sliding_window = hf->config().sliding_window;  // the converter's file alone has one
    config.max_position = hf->config().max_position;
    REQUIRE(config == hf->config());
    visit_tensors(config, [dtype = dtype, &original](const TensorKey& key) {
      REQUIRE(original->tensor(key).dtype == dtype);
    });
    test::require_same_weights(*original, *hf);
  }
}

TEST_CASE("tensors lie in the file where they can") {
  const auto stacked = open_checkpoint(kCheckpoints / "stacked");
  REQUIRE(stacked->tensor({TensorRole::query, 1}).data != nullptr);
  REQUIRE(stacked->tensor({TensorRole::expert_gate, 1, 3}).data != nullptr);
  REQUIRE(stacked->tensor({TensorRole::expert_down, 1, 3}).data == nullptr);
  REQUIRE(stacked->stored({TensorRole::expert_down, 1, 3}).name == "layers.1.block_sparse_moe.w2");
  REQUIRE(stacked->stored({TensorRole::expert_down, 1, 3}).type == "bfloat16");
  const auto experts = open_checkpoint(kCheckpoints / "experts");
  visit_tensors(experts->config(),
                [&](const TensorKey& key) { REQUIRE(experts->tensor(key).data != nullptr); });
  const auto strided = open_checkpoint(kCheckpoints / "strided");
  REQUIRE(strided->tensor({TensorRole::query, 0}).data == nullptr);
  REQUIRE(strided->tensor({TensorRole::final_norm}).data == nullptr);
}

TEST_CASE("of an original checkpoint's tokenizers the newest version counts, else the one without") {
  const Original original("safetensors");
  const auto tokenizer = [&] { return open_checkpoint(original.path())->file("tokenizer.model"); };
  REQUIRE_FALSE(tokenizer());
  test::write_file(original / "tokenizer.model", "plain");
  REQUIRE(tokenizer() == "plain");
  test::write_file(original / "tokenizer.model.v3", "third");
  REQUIRE(tokenizer() == "third");
  for (const char* name : {"tokenizer.model.v2", "tokenizer.model.v", "tokenizer.model.v9x", "tokenizer.model.bak"}) {
    test::write_file(original / name, "other");
  }
  REQUIRE(tokenizer() == "third");
  test::write_file(original / "tokenizer.model.v11", "eleventh");
  REQUIRE(tokenizer() == "eleventh");
  fs::remove(original / "tokenizer.model");
  REQUIRE(tokenizer() == "eleventh");
}

TEST_CASE("a tokenizer with a version in its name is found without weights, too") {
  const test::TempDir dir;
  test::write_file(dir / "params.json", kParams);
  fs::copy_file(fs::path(MIXTRAL_EXAMPLES_DIR) / "models/pocket-mixtral/tokenizer.model", dir / "tokenizer.model.v3");
  test::write_file(dir / "tokenizer.model", "no model");
  REQUIRE(load_tokenizer(dir.path())->vocab_size() == 2048);
}

TEST_CASE("an original checkpoint describes itself as Hugging Face would") {
  const Original original("experts");
  test::write_file(original / "tokenizer.model", "spm");
  const auto checkpoint = open_checkpoint(original.path());
  REQUIRE(parse_hf_config(*checkpoint->file("config.json"), "c") == checkpoint->config());
  REQUIRE(parse_hf_generation_config(*checkpoint->file("generation_config.json"), "g").eos_ids ==
          checkpoint->config().eos_ids);
  REQUIRE(checkpoint->file("tokenizer.model") == "spm");
  REQUIRE_FALSE(checkpoint->file("tokenizer.json").has_value());
}

TEST_CASE("which kind of checkpoint a directory is") {
  const Original both("hf");
  fs::copy(kCheckpoints / "experts", both.path(), fs::copy_options::recursive);
  REQUIRE(open_checkpoint(both.path())->rotary_order() == RotaryOrder::half_split);
  fs::remove(both / "model.safetensors");  // what its config.json describes
  REQUIRE(open_checkpoint(both.path())->rotary_order() == RotaryOrder::interleaved);
  fs::remove(both / "consolidated.00.pth");
  both.fails(ErrorCode::io, {"consolidated.safetensors", "found none"});
}

TEST_CASE("params.json in both spellings") {
  const Config config = parse(kParams);
  REQUIRE(config.hidden == 64);
  REQUIRE(config.ffn == 96);
  REQUIRE(config.n_layers == 2);
  REQUIRE(config.n_heads == 4);
  REQUIRE(config.n_kv_heads == 2);
  REQUIRE(config.head_dim == 16);
  REQUIRE(config.n_experts == 5);
  REQUIRE(config.top_k == 3);
  REQUIRE(config.vocab == 100);
  REQUIRE(config.rms_norm_eps == 1e-6);
  REQUIRE(config.rope_theta == 1e6);
  REQUIRE(config.max_position == 32768);
  REQUIRE_FALSE(config.sliding_window);
  REQUIRE(config.eos_ids == std::vector<TokenId>{2});

  const Config hf = parse(
      R"({"hidden_size":64,"num_hidden_layers":2,"intermediate_size":96,"num_attention_heads":4,)"
      R"("num_key_value_heads":2,"rms_norm_eps":1e-06,"vocab_size":100,"num_local_experts":5,)"
      R"("sliding_window":"4096"})");
  REQUIRE(hf.sliding_window == 4096);
  REQUIRE(hf.top_k == 2);
  REQUIRE(hf.rope_theta == 1e6);
  REQUIRE(hf.rms_norm_eps == 1e-6);
  REQUIRE(hf.head_dim == 16);

  REQUIRE(parse(with(R"("rope_theta":5e5,"_sliding_window":9,"max_seq_len":77)")).rope_theta == 5e5);
  REQUIRE(parse(with(R"("_sliding_window":9)")).sliding_window == 9);
  REQUIRE(parse(with(R"("max_seq_len":77,"lora":null,"model_type":"transformer")")).max_position == 77);
}

TEST_CASE("the context of 8x22B") {
  REQUIRE(parse(R"({"dim":6144,"n_layers":56,"head_dim":128,"hidden_dim":16384,"n_heads":48,"n_kv_heads":8,)"
                R"("norm_eps":1e-05,"vocab_size":32768,"moe":{"num_experts_per_tok":2,"num_experts":8}})")
              .max_position == 65536);
}

TEST_CASE("params.json of other models") {
  require_error(ErrorCode::unsupported, {"params.json", "\"moe\"", "mixture of experts"},
                [] { parse(replace(kParams, "\"moe\"", "\"more\"")); });
  require_error(ErrorCode::unsupported, {"\"lora\""}, [] { parse(with(R"("lora":{"rank":64})")); });
  require_error(ErrorCode::unsupported, {"model_type", "mamba"},
                [] { parse(with(R"("model_type":"mamba")")); });
  require_error(ErrorCode::format, {"\"dim\"", "hidden_size"}, [] { parse(replace(kParams, "dim", "d")); });
  require_error(ErrorCode::format, {"\"n_heads\""}, [] { parse(replace(kParams, ":4", ":\"4\"")); });
  require_error(ErrorCode::format, {"sliding_window", "whole number"},
                [] { parse(with(R"("sliding_window":"None")")); });
  require_error(ErrorCode::format, {"params.json", "n_kv_heads"},
                [] { parse(replace(kParams, "heads\":2", "heads\":3")); });
}

TEST_CASE("original checkpoints with something amiss") {
  SECTION("a part is missing") {
    const Original original("stacked");
    fs::remove(original / "consolidated.03.pt");
    original.fails(ErrorCode::format, {original.path().native(), "is missing"});
  }
  SECTION("a part twice") {
    const Original original("stacked");
    fs::copy(original / "consolidated.03.pt", original / "consolidated.08.pt");
    original.fails(ErrorCode::format, {"consolidated.08.pt", "it is also in", "consolidated.03.pt"});
  }
  SECTION("other sizes") {
    const Original original("safetensors");
    original.edit("params.json", "\"hidden_dim\": 24", "\"hidden_dim\": 25");
    original.fails(ErrorCode::format, {"consolidated.safetensors", "experts.0.w1", "[25, 32]", "[24, 32]"});
  }
  SECTION("fewer layers than weights") {
    const Original original("safetensors");
    original.edit("params.json", "\"n_layers\": 2", "\"n_layers\": 1");
    original.fails(ErrorCode::format, {"layers.1.", "no place in this model"});
  }
  SECTION("the format before torch 1.6") {
    const Original original("experts");
    fs::copy(kCheckpoints / "legacy.pt", original / "consolidated.00.pth",
             fs::copy_options::overwrite_existing);
    original.fails(ErrorCode::unsupported, {"consolidated.00.pth", "ZIP", "torch.save(torch.load("});
  }
  SECTION("cut off") {
    const Original original("experts");
    fs::resize_file(original / "consolidated.00.pth", 30000);
    original.fails(ErrorCode::format, {"consolidated.00.pth", "cut off"});
  }
}

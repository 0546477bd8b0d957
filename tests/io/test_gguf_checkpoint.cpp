// Models in GGUF files of the gguf package, in all the forms that there have been.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "io/gguf.hpp"
#include "io/gguf_checkpoint.hpp"
#include "io/gguf_tensors.hpp"
#include "io/gguf_writer.hpp"
#include "io/model_tensors.hpp"
#include "io/support/files.hpp"
#include "io/support/gguf.hpp"
#include "io/support/models.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/text/tokenizer.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::require_error;
namespace fs = std::filesystem;

namespace {

const fs::path kData = fs::path(MIXTRAL_IO_DATA_DIR) / "gguf";

/// What make_gguf_data.py stores: of an expert, its part of the tensor of all.
std::vector<float> values_of(const TensorKey& key, const Config& config) {
  const auto [rows, cols] = detail::shape_of(key.role, config);
  const std::size_t first = detail::is_expert(key.role) ? key.expert * rows * cols : 0;
  const std::size_t length = detail::gguf_name_of(key).size();
  std::vector<float> values;
  for (std::size_t i = first; i < first + rows * cols; ++i) {
    values.push_back((static_cast<float>((7 * i + 13 * length) % 251) - 125) / 64);
  }
  return values;
}

bool is_plain(TensorRole role) { return detail::is_norm(role) || role == TensorRole::router; }

/// Requires all tensors, in `type`; where the model is tied, the lm_head is the embedding.
void require_model(const fs::path& path, DType type) {
  INFO(path);
  const auto checkpoint = open_checkpoint(path);
  const Config& config = checkpoint->config();
  REQUIRE(checkpoint->rotary_order() == RotaryOrder::interleaved);
  REQUIRE(config.n_layers == 1);
  REQUIRE(config.hidden == 32);
  REQUIRE(config.ffn == 64);
  REQUIRE(config.n_heads == 4);
  REQUIRE(config.n_kv_heads == 2);
  REQUIRE(config.head_dim == 8);
  REQUIRE(config.n_experts == 3);
  REQUIRE(config.top_k == 2);
  REQUIRE(config.vocab == 270);
  REQUIRE(config.max_position == 64);
  REQUIRE(config.rope_theta == 1e6);
  REQUIRE(config.rms_norm_eps == 1e-5);
  REQUIRE(config.bos_id == 1);
  REQUIRE(config.eos_ids == std::vector<TokenId>{2});
  visit_tensors(config, [&](TensorKey key) {
    INFO(name_of(key));
    const LoadedTensor tensor = checkpoint->load(key);
    if (config.tie_embeddings && key.role == TensorRole::lm_head) key.role = TensorRole::embedding;
    const DType expected = is_plain(key.role) ? DType::f32 : type;
    REQUIRE(name_of(tensor.view.dtype) == name_of(expected));
    const std::vector<float> values = values_of(key, config);
    std::vector<std::byte> bytes(bytes_of(expected, values.size()));
    quant::quantise(expected, values, bytes.data());
    REQUIRE(test::rows_of(tensor.view) == bytes);
  });
}

/// The words of the small vocabulary.
void require_tokenizer(const Checkpoint& checkpoint) {
  const auto model = checkpoint.file("tokenizer.model");
  REQUIRE(model);
  const auto tokenizer = parse_sentencepiece(test::as_bytes(*model), "tokenizer.model");
  REQUIRE(tokenizer->vocab_size() == 270);
  REQUIRE(tokenizer->encode("ab") == std::vector<TokenId>{262, 261});
  REQUIRE(tokenizer->encode("a") == std::vector<TokenId>{262});
  REQUIRE(tokenizer->encode("b\n") == std::vector<TokenId>{259, 261, 3 + '\n'});
  REQUIRE(tokenizer->encode("btwo wordsb") == std::vector<TokenId>{259, 261, 264, 261});
  REQUIRE(tokenizer->kind(265) == TokenKind::control);
  REQUIRE(tokenizer->find("[/INST]") == 266);
  REQUIRE(tokenizer->decode(std::vector<TokenId>{262, 269}) == "a");  // an unused piece is no text
}

/// A file of these metadata without tensors.
std::string with_metadata(const detail::GgufMetadataWriter& metadata) {
  const test::TempDir dir;
  detail::GgufWriter(dir / "file.gguf", metadata, {}).commit();
  return test::read_file(dir / "file.gguf");
}

detail::GgufMetadataWriter model_metadata(std::uint32_t hidden = 32) {
  detail::GgufMetadataWriter metadata;
  metadata.add("general.architecture", "llama");
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, std::uint32_t>>{{"llama.block_count", 1},
                                                          {"llama.context_length", 64},
                                                          {"llama.embedding_length", hidden},
                                                          {"llama.feed_forward_length", 64},
                                                          {"llama.attention.head_count", 4},
                                                          {"llama.expert_count", 3},
                                                          {"llama.expert_used_count", 2},
                                                          {"llama.vocab_size", 10}}) {
    metadata.add(key, value);
  }
  return metadata;
}

Config config_of(const detail::GgufMetadataWriter& metadata) {
  const std::string file = with_metadata(metadata);
  return detail::gguf_config(detail::parse_gguf(test::as_bytes(file), "file.gguf").metadata, false);
}

}  // namespace

TEST_CASE("GGUF models in every form are the same model") {
  require_model(kData / "merged.gguf", DType::f32);
  require_model(kData / "bf16.gguf", DType::bf16);
  for (const char* form : {"per_expert", "fused", "tied"}) {
    require_model(kData / (std::string(form) + ".gguf"), DType::q8_0);
  }
  for (const char* part : {"1", "2", "3"}) {
    require_model(kData / ("split-0000" + std::string(part) + "-of-00003.gguf"), DType::q8_0);
  }
  REQUIRE(open_checkpoint(kData / "tied.gguf")->config().tie_embeddings);
  REQUIRE_FALSE(open_checkpoint(kData / "fused.gguf")->config().tie_embeddings);
}

TEST_CASE("a GGUF model is known by its content, also in a directory") {
  const test::TempDir dir;
  for (const char* part : {"1", "2", "3"}) {
    const std::string name = "split-0000" + std::string(part) + "-of-00003.gguf";
    fs::copy_file(kData / name, dir / name);
  }
  require_model(dir.path(), DType::q8_0);
  fs::copy_file(kData / "tied.gguf", dir / "weights.bin");
  require_model(dir / "weights.bin", DType::q8_0);
  require_error(ErrorCode::invalid_argument, {"several GGUF models", "weights.bin"},
                [&] { open_checkpoint(dir.path()); });
}

TEST_CASE("the vocabulary of a GGUF file is a SentencePiece model") {
  for (const char* form : {"merged.gguf", "fused.gguf", "split-00002-of-00003.gguf"}) {
    const auto checkpoint = open_checkpoint(kData / form);
    require_tokenizer(*checkpoint);
    const auto config = checkpoint->file("tokenizer_config.json");
    REQUIRE(config);
    REQUIRE(config->find("{{ messages }}") != std::string::npos);
    REQUIRE(config->find("\"add_bos_token\": true") != std::string::npos);
  }
  REQUIRE_FALSE(open_checkpoint(kData / "bf16.gguf")->file("tokenizer.model"));
}

TEST_CASE("what a GGUF file says is there for people") {
  const auto checkpoint = open_checkpoint(kData / "per_expert.gguf");
  const auto metadata = checkpoint->metadata();
  const auto name = std::find_if(metadata.begin(), metadata.end(),
                                 [](const auto& entry) { return entry.first == "general.name"; });
  REQUIRE(name != metadata.end());
  REQUIRE(name->second == "small");
  const StoredTensor stored = checkpoint->stored({TensorRole::expert_up, 0, 2});
  REQUIRE(stored.name == "blk.0.ffn_up.2.weight");
  REQUIRE(stored.type == "Q8_0");
  REQUIRE(stored.bytes == 64 * 34);
}

TEST_CASE("parts of a split GGUF model that are missing, renamed or of another model") {
  const test::TempDir dir;
  const std::string second = "split-00002-of-00003.gguf", third = "split-00003-of-00003.gguf";
  fs::copy_file(kData / "split-00001-of-00003.gguf", dir / "split-00001-of-00003.gguf");
  fs::copy_file(kData / second, dir / second);
  require_error(ErrorCode::io, {third}, [&] { open_checkpoint(dir / second); });
  fs::copy_file(kData / second, dir / third);
  require_error(ErrorCode::format, {third, "part 3 of 3", "2 of 3"}, [&] { open_checkpoint(dir / second); });
  fs::copy_file(kData / second, dir / "part2.gguf");
  require_error(ErrorCode::format, {"part2.gguf", second.substr(5)}, [&] { open_checkpoint(dir / "part2.gguf"); });
}

TEST_CASE("tensors of a GGUF file that are missing, too many or of a type that can't be read") {
  const test::TempDir dir;
  const std::string file = test::read_file(kData / "tied.gguf");
  const auto require_refused = [&](ErrorCode code, std::string_view what, std::string_view by,
                                   std::initializer_list<std::string> parts) {
    test::write_file(dir / "bad.gguf", test::replace(file, what, by));
    require_error(code, parts, [&] { open_checkpoint(dir / "bad.gguf"); });
  };
  require_refused(ErrorCode::format, "blk.0.attn_v.weight", "blk.0.attn_w.weight",
                  {"bad.gguf", "blk.0.attn_v.weight", "missing"});
  const auto norm = [](std::uint32_t type) {
    return test::GgufBytes().string("blk.0.attn_norm.weight").u32(1).u64(32).u32(type).bytes();
  };
  require_refused(ErrorCode::unsupported, norm(0), norm(26),
                  {"bad.gguf", "blk.0.attn_norm.weight", "type I32 can't be read", "llama-quantize"});
  const std::string name = "blk.0.attn_output.weight";
  const auto info = [&](std::uint32_t type) {
    return test::GgufBytes().tensor(name, 32, 32, type, 0).bytes().substr(0, 8 + name.size() + 4 + 16 + 4);
  };
  require_refused(ErrorCode::format, info(8), info(20), {"bad.gguf", "expected it at byte"});  // shorter
}

TEST_CASE("types from llama.cpp's tables, and scales of whole tensors, are refused with a way out") {
  const test::TempDir dir;
  const auto metadata = model_metadata(256);
  const auto write = [&](std::uint64_t n_tensors) {
    return test::GgufBytes().header(n_tensors, metadata.count()).raw(metadata.bytes());
  };
  auto table = write(1).tensor("token_embd.weight", 256, 10, 18, 0);
  test::write_file(dir / "iq3_xxs.gguf", table.align(32).zeros(10 * 98).bytes());
  require_error(ErrorCode::unsupported, {"token_embd.weight", "IQ3_XXS", "llama.cpp's own", "Q2_K", "llama-quantize"},
                [&] { open_checkpoint(dir / "iq3_xxs.gguf"); });
  auto scaled = write(2).tensor("token_embd.weight", 256, 10, 40, 0).tensor("token_embd.scale", 1, 1, 0, 1440);
  test::write_file(dir / "scaled.gguf", scaled.align(32).zeros(1440 + 4).bytes());
  require_error(ErrorCode::unsupported, {"token_embd.weight", "token_embd.scale", "original model"},
                [&] { open_checkpoint(dir / "scaled.gguf"); });
}

TEST_CASE("a norm or router in a quantised type is widened") {
  const test::TempDir dir;
  const auto source = open_checkpoint(kData / "tied.gguf");
  std::vector<detail::GgufDeclaration> tensors;
  const detail::GgufFile file(kData / "tied.gguf");
  for (const auto& tensor : file.header().tensors) {
    const bool is_router = tensor.name == "blk.0.ffn_gate_inp.weight";
    tensors.push_back({tensor.name, is_router ? DType::q8_0 : *tensor.type->dtype, tensor.shape});
  }
  detail::GgufMetadataWriter metadata = model_metadata();
  metadata.add("llama.attention.head_count_kv", std::uint32_t{2});
  {
    detail::GgufWriter writer(dir / "router.gguf", metadata, tensors);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      std::size_t n = 1;
      for (const std::size_t size : tensors[i].shape) n *= size;
      writer.append(std::vector<std::byte>(bytes_of(tensors[i].type, n), std::byte{0x3c}));
    }
    writer.commit();
  }
  require_error(ErrorCode::format, {"token_embd.weight", "[10, 32]"},
                [&] { open_checkpoint(dir / "router.gguf"); });  // the vocabulary is another one
  std::string bytes = test::read_file(dir / "router.gguf");
  const std::string key = test::GgufBytes().string("llama.vocab_size").u32(4).bytes();
  bytes = test::replace(bytes, key + test::GgufBytes().u32(10).bytes(), key + test::GgufBytes().u32(270).bytes());
  test::write_file(dir / "router.gguf", bytes);
  const auto checkpoint = open_checkpoint(dir / "router.gguf");
  const LoadedTensor router = checkpoint->load({TensorRole::router});
  REQUIRE(router.view.dtype == DType::f32);
  REQUIRE(router.memory);
  float first = 0;
  std::memcpy(&first, router.view.data, sizeof first);
  REQUIRE(first == to_float(F16{0x3c3c}) * 0x3c);
  REQUIRE(checkpoint->stored({TensorRole::router}).type == "Q8_0");
  REQUIRE(checkpoint->config().rope_theta == 10000);  // what absence means there
}

TEST_CASE("metadata of a model that isn't a Mixtral, or isn't whole") {
  REQUIRE(config_of(model_metadata()).n_kv_heads == 4);
  const auto require_refused = [](ErrorCode code, std::initializer_list<std::string> parts, auto... pair) {
    detail::GgufMetadataWriter metadata = model_metadata();
    metadata.add(pair...);
    require_error(code, parts, [&] { config_of(metadata); });
  };
  require_refused(ErrorCode::unsupported, {"llama.rope.scaling.type", "yarn"}, "llama.rope.scaling.type", "yarn");
  require_refused(ErrorCode::unsupported, {"llama.rope.scale_linear"}, "llama.rope.scale_linear", 2.0f);
  require_refused(ErrorCode::unsupported, {"llama.rope.dimension_count", "found 4"}, "llama.rope.dimension_count",
                  std::uint32_t{4});
  require_refused(ErrorCode::format, {"head_dim"}, "llama.attention.key_length", std::uint32_t{7});
  require_refused(ErrorCode::format, {"llama.attention.head_count_kv"}, "llama.attention.head_count_kv", "two");
  detail::GgufMetadataWriter other;
  other.add("general.architecture", "qwen3moe");
  require_error(ErrorCode::unsupported, {"general.architecture", "qwen3moe"}, [&] { config_of(other); });
  detail::GgufMetadataWriter dense;
  dense.add("general.architecture", "llama");
  require_error(ErrorCode::unsupported, {"llama.expert_count"}, [&] { config_of(dense); });
  dense.add("llama.expert_count", std::uint32_t{8});
  require_error(ErrorCode::format, {"llama.block_count", "missing"}, [&] { config_of(dense); });
}

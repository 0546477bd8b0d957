// Loading maps the weights: it takes no memory of its own for them.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "io/support/files.hpp"
#include "mixtral/core/config.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/hf_config.hpp"
#include "support/catch.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;

namespace {

/// Bytes resident in this process that no file backs.
std::size_t private_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0, resident = 0, shared = 0;
  REQUIRE(std::fscanf(file, "%lu %lu %lu", &total, &resident, &shared) == 3);
  std::fclose(file);
  return (resident - shared) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

class HeaderText {
 public:
  void add(const std::string& name, std::size_t rows, std::size_t cols) {
    const std::string shape =
        rows == 1 ? std::to_string(cols) : std::to_string(rows) + "," + std::to_string(cols);
    const std::size_t begin = end_;
    end_ += rows * cols * 2;
    text_ += (text_.empty() ? "{\"" : ",\"") + name + R"(":{"dtype":"BF16","shape":[)" + shape +
             R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(end_) + "]}";
  }
  std::string text() const { return text_ + "}"; }
  std::size_t data_bytes() const { return end_; }

 private:
  std::string text_;
  std::size_t end_ = 0;
};

}  // namespace

TEST_CASE("opening a checkpoint of a gigabyte takes no gigabyte") {
  Config c;
  c.n_layers = 2;
  c.hidden = 1024;
  c.ffn = 10240;
  c.n_heads = c.n_kv_heads = 8;
  c.head_dim = 128;
  c.n_experts = 8;
  c.top_k = 2;
  c.vocab = 16000;
  c.max_position = 4096;
  c.rope_theta = 1e6;
  c.rms_norm_eps = 1e-5;

  HeaderText header;
  header.add("model.embed_tokens.weight", c.vocab, c.hidden);
  header.add("model.norm.weight", 1, c.hidden);
  header.add("lm_head.weight", c.vocab, c.hidden);
  for (std::size_t l = 0; l < c.n_layers; ++l) {
    const std::string layer = "model.layers." + std::to_string(l) + ".";
    header.add(layer + "input_layernorm.weight", 1, c.hidden);
    header.add(layer + "post_attention_layernorm.weight", 1, c.hidden);
    for (const char* name : {"q", "k", "v", "o"}) {
      header.add(layer + "self_attn." + name + "_proj.weight", 1024, c.hidden);
    }
    header.add(layer + "block_sparse_moe.gate.weight", c.n_experts, c.hidden);
    for (std::size_t e = 0; e < c.n_experts; ++e) {
      const std::string expert = layer + "block_sparse_moe.experts." + std::to_string(e) + ".";
      header.add(expert + "w1.weight", c.ffn, c.hidden);
      header.add(expert + "w2.weight", c.hidden, c.ffn);
      header.add(expert + "w3.weight", c.ffn, c.hidden);
    }
  }

  const test::TempDir dir;
  test::write_file(dir / "config.json", to_hf_config_json(c, DType::bf16));
  const std::string begin = test::safetensors_file(header.text(), 0);
  test::write_file(dir / "model.safetensors", begin);
  std::filesystem::resize_file(dir / "model.safetensors", begin.size() + header.data_bytes());
  REQUIRE(header.data_bytes() > 1'000'000'000);

  const std::size_t before = private_bytes();
  const auto checkpoint = open_checkpoint(dir.path());
  REQUIRE(checkpoint->weight_bytes() == header.data_bytes());
  const WeightView some = checkpoint->tensor({TensorRole::expert_up, 1, 7});
  unsigned sum = 0;  // reading brings pages in, but they stay the page cache's
  for (std::size_t i = 0; i < some.bytes(); i += 512) sum += std::to_integer<unsigned>(some.data[i]);
  const std::size_t after = private_bytes();
  REQUIRE(sum == 0);
  REQUIRE(after < before + 8'000'000);
}

// Loading maps the weights and takes no memory of its own for them; converting takes little.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "io/support/files.hpp"
#include "mixtral/core/config.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/convert.hpp"
#include "mixtral/io/hf_config.hpp"
#include "mixtral/model/mixtral.hpp"
#include "support/catch.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;

namespace {

/// Bytes resident in this process.
struct Resident {
  std::size_t all;
  std::size_t not_shared;  ///< that no file backs
};

Resident resident() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0, all = 0, shared = 0;
  REQUIRE(std::fscanf(file, "%lu %lu %lu", &total, &all, &shared) == 3);
  std::fclose(file);
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return {all * page, (all - shared) * page};
}

std::size_t private_bytes() { return resident().not_shared; }

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

Config wide_config(std::size_t ffn) {
  Config c;
  c.n_layers = 2;
  c.hidden = 1024;
  c.ffn = ffn;
  c.n_heads = c.n_kv_heads = 8;
  c.head_dim = 128;
  c.n_experts = 8;
  c.top_k = 2;
  c.vocab = 16000;
  c.max_position = 4096;
  c.rope_theta = 1e6;
  c.rms_norm_eps = 1e-5;
  return c;
}

/// Writes a model of zeros, which take no room on the disk. Returns the bytes of its weights.
std::size_t write_sparse_model(const std::filesystem::path& directory, const Config& c) {
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
  test::write_file(directory / "config.json", to_hf_config_json(c, DType::bf16));
  const std::string begin = test::safetensors_file(header.text(), 0);
  test::write_file(directory / "model.safetensors", begin);
  std::filesystem::resize_file(directory / "model.safetensors", begin.size() + header.data_bytes());
  return header.data_bytes();
}

}  // namespace

TEST_CASE("opening a checkpoint of a gigabyte takes no gigabyte") {
  const test::TempDir dir;
  const std::size_t bytes = write_sparse_model(dir.path(), wide_config(10240));
  REQUIRE(bytes > 1'000'000'000);

  const std::size_t before = private_bytes();
  const auto checkpoint = open_checkpoint(dir.path());
  REQUIRE(checkpoint->weight_bytes() == bytes);
  const WeightView some = checkpoint->tensor({TensorRole::expert_up, 1, 7});
  unsigned sum = 0;  // reading brings pages in, but they stay the page cache's
  for (std::size_t i = 0; i < some.bytes(); i += 512) sum += std::to_integer<unsigned>(some.data[i]);
  const std::size_t after = private_bytes();
  REQUIRE(sum == 0);
  REQUIRE(after < before + 8'000'000);
}

TEST_CASE("converting takes memory for some tiles, and opening the result for none") {
  const test::TempDir dir;
  const Config config = wide_config(2048);
  REQUIRE(write_sparse_model(dir.path(), config) > 250'000'000);
  const auto source = open_checkpoint(dir.path());
  ThreadPool pool(2);
  const std::size_t before = private_bytes();
  std::size_t most = 0;
  ConvertOptions options;
  options.on_progress = [&](const ConvertProgress&) {
    most = std::max(most, private_bytes());
    return true;
  };
  convert_checkpoint(*source, dir / "packed", named_recipe("q8_0", config), options, pool);
  REQUIRE(most < before + 8'000'000);  // a layer has 110 MB, an expert's matrix 4

  const std::size_t opening = private_bytes();
  const auto packed = open_checkpoint(dir / "packed");
  unsigned sum = 0;
  visit_tensors(config, [&](const TensorKey& key) {
    const WeightView view = packed->tensor(key);
    for (std::size_t i = 0; i < view.bytes(); i += 512) sum += std::to_integer<unsigned>(view.data[i]);
  });
  REQUIRE(sum == 0);
  REQUIRE(private_bytes() < opening + 4'000'000);
}

TEST_CASE("running a native file takes the file and the cache, within 5 %") {
  const test::TempDir dir;
  const Config config = wide_config(2048);
  std::filesystem::create_directory(dir / "model");
  write_sparse_model(dir / "model", config);
  ThreadPool pool(2);
  convert_checkpoint(*open_checkpoint(dir / "model"), dir / "packed", named_recipe("q8_0", config), {}, pool);
  const std::size_t file = std::filesystem::file_size(dir / "packed");

  const Resident before = resident();
  const Mixtral network(open_checkpoint(dir / "packed"));
  KvCache cache(config, 1024, DType::f16);
  Workspace workspace(config, 64, 1, cache.capacity(), pool.n_threads());
  std::vector<TokenId> ids(64);
  std::iota(ids.begin(), ids.end(), 0);
  while (cache.size() < cache.capacity()) {
    for (TokenId& id : ids) id = (id + 997) % static_cast<TokenId>(config.vocab);  // other rows each time
    const BatchItem item{&cache, ids, LogitsFor::last};
    network.forward({&item, 1}, workspace, pool);
  }
  const Resident after = resident();
  REQUIRE(after.all - before.all < (file + cache.bytes()) * 105 / 100);
  REQUIRE(after.not_shared - before.not_shared < cache.bytes() + file * 5 / 100);
}

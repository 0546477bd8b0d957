#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "io/support/files.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/safetensors.hpp"
#include "mixtral/io/safetensors_writer.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::replace;
using test::require_error;
namespace fs = std::filesystem;

namespace {

const fs::path kDataDir = MIXTRAL_IO_DATA_DIR;

struct NamedKey {
  TensorKey key;
  std::string name;  // as transformers 4 calls it
  std::size_t rows, cols;
};

/// Every tensor of the models in data/, written out apart from the library's own table.
std::vector<NamedKey> all_tensors() {
  std::vector<NamedKey> all = {
      {{TensorRole::embedding}, "model.embed_tokens.weight", 20, 8},
      {{TensorRole::final_norm}, "model.norm.weight", 1, 8},
      {{TensorRole::lm_head}, "lm_head.weight", 20, 8},
  };
  for (std::size_t l = 0; l < 2; ++l) {
    const std::string layer = "model.layers." + std::to_string(l) + ".";
    all.push_back({{TensorRole::attention_norm, l}, layer + "input_layernorm.weight", 1, 8});
    all.push_back({{TensorRole::ffn_norm, l}, layer + "post_attention_layernorm.weight", 1, 8});
    all.push_back({{TensorRole::query, l}, layer + "self_attn.q_proj.weight", 24, 8});
    all.push_back({{TensorRole::key, l}, layer + "self_attn.k_proj.weight", 12, 8});
    all.push_back({{TensorRole::value, l}, layer + "self_attn.v_proj.weight", 12, 8});
    all.push_back({{TensorRole::output, l}, layer + "self_attn.o_proj.weight", 8, 24});
    all.push_back({{TensorRole::router, l}, layer + "block_sparse_moe.gate.weight", 4, 8});
    for (std::size_t e = 0; e < 4; ++e) {
      const std::string expert = layer + "block_sparse_moe.experts." + std::to_string(e) + ".";
      all.push_back({{TensorRole::expert_gate, l, e}, expert + "w1.weight", 12, 8});
      all.push_back({{TensorRole::expert_down, l, e}, expert + "w2.weight", 8, 12});
      all.push_back({{TensorRole::expert_up, l, e}, expert + "w3.weight", 12, 8});
    }
  }
  return all;
}

float element(const WeightView& view, std::size_t index) {
  const std::byte* at = view.data + index * size_of(view.dtype);
  if (view.dtype == DType::f32) {
    float value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return view.dtype == DType::f16 ? to_float(F16{bits}) : to_float(BF16{bits});
}

/// Requires elements as make_data.py makes them, from element `first` of the tensor `name` on.
void require_values(const WeightView& view, const std::string& name, std::size_t first = 0) {
  for (std::size_t i = 0; i < view.rows * view.cols; ++i) {
    const auto step = static_cast<int>((7 * (first + i) + 13 * name.size()) % 251);
    REQUIRE(element(view, i) == static_cast<float>(step - 125) / 64);
  }
}

/// A copy of data/per_expert that a test may spoil.
struct Model : test::TempDir {
  explicit Model(const char* name = "per_expert") {
    fs::copy(kDataDir / name, path(), fs::copy_options::recursive);
  }

  void edit(const char* file, const std::string& what, const std::string& by) const {
    test::write_file(*this / file, replace(test::read_file(*this / file), what, by));
  }

  /// Rewrites the weights as zeros after `change`.
  void rewrite(const std::function<void(std::vector<SafetensorsDeclaration>&)>& change) const {
    std::vector<SafetensorsDeclaration> tensors;
    const fs::path file = *this / "model.safetensors";
    const SafetensorsFile old(file);
    for (const SafetensorsEntry& entry : old.header().tensors) {
      tensors.push_back({entry.name, std::string(entry.dtype), entry.shape});
    }
    change(tensors);
    SafetensorsWriter writer(file, tensors);
    for (const auto& tensor : tensors) {
      const std::vector<std::byte> zeros(*safetensors_bytes(tensor.dtype, tensor.shape));
      writer.append(zeros);
    }
    writer.commit();
  }

  void fails(ErrorCode code, std::initializer_list<std::string> parts) const {
    const std::size_t descriptors = test::count_descriptors();
    require_error(code, parts, [&] { open_checkpoint(path()); });
    REQUIRE(test::count_descriptors() == descriptors);
  }
};

SafetensorsDeclaration& find(std::vector<SafetensorsDeclaration>& tensors, const std::string& name) {
  for (auto& tensor : tensors) {
    if (tensor.name == name) return tensor;
  }
  throw std::logic_error("no tensor " + name);
}

}  // namespace

TEST_CASE("a checkpoint of per-expert tensors in mixed dtypes, by the reference writer") {
  const auto checkpoint = open_checkpoint(kDataDir / "per_expert");
  REQUIRE(checkpoint->config().n_experts == 4);
  REQUIRE(checkpoint->config().eos_ids == std::vector<TokenId>{2, 7});
  REQUIRE(checkpoint->generation_defaults().temperature == 0.6);
  REQUIRE(checkpoint->generation_defaults().do_sample == true);
  std::size_t bytes = 0;
  bool seen[3] = {};
  for (const NamedKey& tensor : all_tensors()) {
    INFO(tensor.name);
    const WeightView view = checkpoint->tensor(tensor.key);
    REQUIRE(view.rows == tensor.rows);
    REQUIRE(view.cols == tensor.cols);
    require_values(view, tensor.name);
    seen[static_cast<int>(view.dtype)] = true;
    bytes += view.bytes();
  }
  REQUIRE((seen[0] && seen[1] && seen[2]));
  REQUIRE(checkpoint->weight_bytes() == bytes);
  REQUIRE_NOTHROW(checkpoint->check_unchanged());
}

TEST_CASE("a sharded checkpoint of fused tensors: experts are row blocks in place") {
  const auto checkpoint = open_checkpoint(kDataDir / "fused");
  REQUIRE(checkpoint->config().rope_theta == 1e6);
  std::size_t bytes = 0;
  for (const NamedKey& tensor : all_tensors()) {
    INFO(tensor.name);
    const WeightView view = checkpoint->tensor(tensor.key);
    REQUIRE(view.rows == tensor.rows);
    REQUIRE(view.cols == tensor.cols);
    const std::string moe = "model.layers." + std::to_string(tensor.key.layer) + ".mlp.";
    const std::size_t e = tensor.key.expert;
    switch (tensor.key.role) {
      case TensorRole::router:
        require_values(view, moe + "gate.weight");
        break;
      case TensorRole::expert_gate:
        require_values(view, moe + "experts.gate_up_proj", e * 24 * 8);
        break;
      case TensorRole::expert_up:
        require_values(view, moe + "experts.gate_up_proj", (e * 24 + 12) * 8);
        break;
      case TensorRole::expert_down:
        require_values(view, moe + "experts.down_proj", e * 8 * 12);
        break;
      default:
        require_values(view, tensor.name);
    }
    bytes += view.bytes();
  }
  REQUIRE(checkpoint->weight_bytes() == bytes);
}

TEST_CASE("tied embeddings: lm_head may be absent, and is ignored when present") {
  for (const bool keep_lm_head : {false, true}) {
    const Model model;
    model.edit("config.json", "\"model_type\"", "\"tie_word_embeddings\": true, \"model_type\"");
    if (!keep_lm_head) {
      model.rewrite([](auto& tensors) {
        std::erase_if(tensors, [](const auto& tensor) { return tensor.name == "lm_head.weight"; });
      });
    }
    const auto checkpoint = open_checkpoint(model.path());
    const WeightView embedding = checkpoint->tensor({TensorRole::embedding});
    REQUIRE(checkpoint->tensor({TensorRole::lm_head}).data == embedding.data);
    std::size_t bytes = 0;
    for (const NamedKey& tensor : all_tensors()) {
      if (tensor.key.role != TensorRole::lm_head) bytes += checkpoint->tensor(tensor.key).bytes();
    }
    REQUIRE(checkpoint->weight_bytes() == bytes);
  }
}

TEST_CASE("a key outside the model is an error") {
  const auto checkpoint = open_checkpoint(kDataDir / "per_expert");
  const auto code = ErrorCode::invalid_argument;
  require_error(code, {"layer 2", "2 layers"}, [&] { checkpoint->tensor({TensorRole::query, 2}); });
  require_error(code, {"expert 4", "4 experts"},
                [&] { checkpoint->tensor({TensorRole::expert_up, 1, 4}); });
  REQUIRE_NOTHROW(checkpoint->tensor({TensorRole::query, 1, 99}));
  REQUIRE_NOTHROW(checkpoint->tensor({TensorRole::final_norm, 99, 99}));
}

TEST_CASE("a path that is no model directory is an error that says what is expected") {
  const test::TempDir dir;
  const auto code = ErrorCode::io;
  require_error(code, {"absent", "model directory of Hugging Face", "nothing"},
                [&] { open_checkpoint(dir / "absent"); });
  test::write_file(dir / "file", "x");
  require_error(ErrorCode::unsupported, {"file", "Hugging Face model directory", "another kind"},
                [&] { open_checkpoint(dir / "file"); });
  require_error(code, {"config.json", "No such file"}, [&] { open_checkpoint(dir.path()); });
  fs::copy(kDataDir / "per_expert/config.json", dir / "config.json");
  require_error(code, {dir.path().string(), "model.safetensors.index.json", "neither"},
                [&] { open_checkpoint(dir.path()); });
}

TEST_CASE("a directory without permission is an error") {
  const Model model;
  const bool is_root = geteuid() == 0;
  REQUIRE(chmod(model.path().c_str(), 0) == 0);
  if (is_root) REQUIRE(seteuid(65534) == 0);
  std::string message;
  try {
    open_checkpoint(model.path());
  } catch (const Error& error) {
    message = error.what();
  }
  if (is_root) REQUIRE(seteuid(0) == 0);
  REQUIRE(chmod(model.path().c_str(), 0700) == 0);
  REQUIRE(message.find("Permission denied") != std::string::npos);
  REQUIRE(message.find(model.path().string()) != std::string::npos);
}

TEST_CASE("missing, extra and misshapen tensors are named") {
  const std::string name = "model.layers.1.block_sparse_moe.experts.3.w2.weight";
  {
    const Model model;
    model.rewrite([&](auto& tensors) {
      std::erase_if(tensors, [&](const auto& tensor) { return tensor.name == name; });
    });
    model.fails(ErrorCode::format, {model.path().string(), name, "[8, 12]", "missing"});
  }
  {
    const Model model;
    model.rewrite([&](auto& tensors) { find(tensors, name).shape = {12, 8}; });
    model.fails(ErrorCode::format,
                {"model.safetensors", name, "expected shape [8, 12]", "found [12, 8]"});
  }
  {
    const Model model;
    model.rewrite([&](auto& tensors) { find(tensors, name).shape = {96}; });
    model.fails(ErrorCode::format, {name, "expected shape [8, 12]", "found [96]"});
  }
  {
    const Model model;
    model.rewrite([&](auto& tensors) { find(tensors, name).dtype = "I64"; });
    model.fails(ErrorCode::unsupported, {name, "F32, F16 or BF16", "found I64"});
  }
  {
    const Model model;
    model.rewrite([&](auto& tensors) {
      tensors.push_back({"model.layers.2.input_layernorm.weight", "F32", {8}});
    });
    model.fails(ErrorCode::format, {"model.layers.2.input_layernorm.weight", "no place"});
  }
  {
    const Model model;
    model.rewrite([&](auto& tensors) {
      tensors.push_back({"model.layers.0.self_attn.q_proj.bias", "F32", {24}});
    });
    model.fails(ErrorCode::format, {"q_proj.bias", "no place"});
  }
}

TEST_CASE("stored RoPE frequencies do no harm") {
  const Model model;
  model.rewrite([](auto& tensors) {
    tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {3}});
  });
  REQUIRE_NOTHROW(open_checkpoint(model.path()));
}

TEST_CASE("a config that promises more than the files hold ends at the first missing tensor") {
  const Model model;
  model.edit("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 60000");
  model.fails(ErrorCode::format, {"model.layers.2.", "missing"});
  const Model wide;
  wide.edit("config.json", "\"num_local_experts\": 4", "\"num_local_experts\": 60000");
  wide.fails(ErrorCode::format, {"gate.weight", "[60000, 8]", "found [4, 8]"});
}

TEST_CASE("broken files of a checkpoint are named") {
  {
    const Model model;
    model.edit("config.json", "\"mixtral\"", "\"mixtrall\"");
    model.fails(ErrorCode::unsupported, {"config.json", "mixtrall"});
  }
  {
    const Model model;
    model.edit("generation_config.json", "0.6", "\"warm\"");
    model.fails(ErrorCode::format, {"generation_config.json", "temperature"});
  }
  {
    const Model model;
    model.edit("generation_config.json", "7", "20");
    model.fails(ErrorCode::format, {"generation_config.json", "eos_ids", "20"});
  }
  {
    const Model model;
    fs::resize_file(model / "model.safetensors", 5000);
    model.fails(ErrorCode::format, {"model.safetensors"});
  }
  {
    const Model model;
    fs::remove(model / "model.safetensors");
    fs::create_directory(model / "model.safetensors");
    model.fails(ErrorCode::io, {"model.safetensors", "directory"});
  }
  {
    const Model model;
    fs::remove(model / "generation_config.json");
    REQUIRE(open_checkpoint(model.path())->config().eos_ids == std::vector<TokenId>{2});
  }
}

TEST_CASE("an index that disagrees with its shards is an error") {
  const char* const index = "model.safetensors.index.json";
  const std::string first = "model-00001-of-00003.safetensors";
  {
    const Model model("fused");
    fs::remove(model / first);
    model.fails(ErrorCode::io, {first, "No such file"});
  }
  {
    const Model model("fused");
    model.edit(index, "\"lm_head.weight\": \"model-00003", "\"lm_head.weight\": \"../model-00003");
    model.fails(ErrorCode::format, {index, "lm_head.weight", "same directory"});
  }
  {
    const Model model("fused");
    model.edit(index, "\"lm_head.weight\": \"model-00003", "\"lm_head.weight\": \"model-00002");
    model.fails(ErrorCode::format, {"model-00003", "lm_head.weight", "model-00002"});
  }
  {
    const Model model("fused");
    model.edit(index, "\"lm_head.weight\": \"model-00003-of-00003.safetensors\",", "");
    model.fails(ErrorCode::format, {"model-00003", "lm_head.weight", "no file"});
  }
  {
    const Model model("fused");
    model.edit(index, "\"lm_head.weight\"", "\"another\": \"" + first + "\",\"lm_head.weight\"");
    model.fails(ErrorCode::format, {first, "another", "hasn't got it"});
  }
  {
    const Model model("fused");
    fs::copy_file(model / first, model / "extra.safetensors");  // not listed: not looked at
    REQUIRE_NOTHROW(open_checkpoint(model.path()));
  }
  {
    const Model model("fused");  // as in a download cache: links to files elsewhere
    const Model elsewhere("fused");
    fs::remove(model / first);
    fs::create_symlink(elsewhere / first, model / first);
    REQUIRE_NOTHROW(open_checkpoint(model.path()));
  }
}

TEST_CASE("loading reports its progress and can be stopped at every step") {
  std::vector<std::size_t> steps;
  open_checkpoint(kDataDir / "fused", [&](const LoadProgress& progress) {
    REQUIRE(progress.total == 3);
    steps.push_back(progress.done);
    return true;
  });
  REQUIRE(steps == std::vector<std::size_t>{0, 1, 2, 3});
  for (const std::size_t stop : steps) {
    const std::size_t descriptors = test::count_descriptors();
    require_error(ErrorCode::cancelled, {"fused", "cancelled"}, [&] {
      open_checkpoint(kDataDir / "fused",
                      [&](const LoadProgress& progress) { return progress.done < stop; });
    });
    REQUIRE(test::count_descriptors() == descriptors);
  }
}

TEST_CASE("a shard that shrinks while mapped is noticed") {
  const Model model("fused");
  const auto checkpoint = open_checkpoint(model.path());
  const fs::path shard = model / "model-00002-of-00003.safetensors";
  const std::size_t size = fs::file_size(shard);
  fs::resize_file(shard, size - 1);
  require_error(ErrorCode::io,
                {shard.filename().string(), std::to_string(size), std::to_string(size - 1)},
                [&] { checkpoint->check_unchanged(); });
  fs::resize_file(shard, size);
  REQUIRE_NOTHROW(checkpoint->check_unchanged());
}

TEST_CASE("a checkpoint serves several threads") {
  const auto checkpoint = open_checkpoint(kDataDir / "fused");
  std::vector<std::thread> threads;
  std::vector<double> sums(4);
  for (double& sum : sums) {
    threads.emplace_back([&] {
      for (const NamedKey& tensor : all_tensors()) {
        const WeightView view = checkpoint->tensor(tensor.key);
        for (std::size_t i = 0; i < view.rows * view.cols; ++i) sum += element(view, i);
        checkpoint->check_unchanged();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const double sum : sums) REQUIRE(sum == sums[0]);
}

TEST_CASE("every golden model opens") {
  const fs::path models = fs::path(MIXTRAL_GOLDENS_DIR) / "models";
  if (!fs::exists(models)) return;
  for (const auto& entry : fs::directory_iterator(models)) {
    if (!fs::exists(entry.path() / "config.json")) continue;
    INFO(entry.path());
    const auto checkpoint = open_checkpoint(entry.path());
    REQUIRE(checkpoint->weight_bytes() > 0);
  }
}

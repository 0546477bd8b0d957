#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "io/support/files.hpp"
#include "mixtral/core/executor.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/synthetic.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::require_error;
namespace fs = std::filesystem;

namespace {

Config small_config() {
  Config c;
  c.n_layers = 2;
  c.hidden = 64;
  c.ffn = 96;
  c.n_heads = 6;
  c.n_kv_heads = 2;
  c.head_dim = 16;
  c.n_experts = 4;
  c.top_k = 2;
  c.vocab = 300;
  c.max_position = 128;
  c.rope_theta = 1e6;
  c.rms_norm_eps = 1e-5;
  return c;
}

void write(const fs::path& path, const Config& config, const SyntheticOptions& options) {
  SerialExecutor serial;
  write_synthetic_checkpoint(path, config, options, serial);
}

float element(const WeightView& view, std::size_t index) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, view.data + index * size_of(view.dtype), size_of(view.dtype));
  switch (view.dtype) {
    case DType::f32:
      return std::bit_cast<float>(bits);
    case DType::f16:
      return to_float(F16{static_cast<std::uint16_t>(bits)});
    default:
      return to_float(BF16{static_cast<std::uint16_t>(bits)});
  }
}

struct Moments {
  double mean, deviation;
};

Moments moments(const WeightView& view) {
  const std::size_t count = view.rows * view.cols;
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double value = element(view, i);
    sum += value;
    squares += value * value;
  }
  const double mean = sum / static_cast<double>(count);
  return {mean, std::sqrt(squares / static_cast<double>(count) - mean * mean)};
}

}  // namespace

TEST_CASE("a synthetic checkpoint opens and states its config, in every dtype") {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    const test::TempDir dir;
    SyntheticOptions options;
    options.dtype = dtype;
    Config config = small_config();
    config.eos_ids = {2, 5};
    write(dir / "model", config, options);
    const auto checkpoint = open_checkpoint(dir / "model");
    REQUIRE(checkpoint->config().ffn == 96);
    REQUIRE(checkpoint->config().eos_ids == config.eos_ids);
    const std::size_t n_elements = 2 * 300 * 64 + 64 +
                                   2 * (2 * 64 + 2 * 96 * 64 + 2 * 32 * 64 + 4 * 64 +
                                        4 * 3 * 96 * 64);
    REQUIRE(checkpoint->weight_bytes() == n_elements * size_of(dtype));
    REQUIRE(checkpoint->tensor({TensorRole::query, 1}).dtype == dtype);
    REQUIRE(test::count_entries(dir / "model") == 3);
    REQUIRE(test::count_entries(dir.path()) == 1);
  }
}

TEST_CASE("synthetic weights have the scale that keeps activations in range") {
  const test::TempDir dir;
  write(dir / "model", small_config(), {});
  const auto checkpoint = open_checkpoint(dir / "model");
  const auto check = [&](TensorKey key, double mean, double deviation) {
    const WeightView view = checkpoint->tensor(key);
    const Moments found = moments(view);
    const double error = 5 / std::sqrt(static_cast<double>(view.rows * view.cols));
    REQUIRE(std::abs(found.mean - mean) < deviation * error + 0.005);
    REQUIRE(std::abs(found.deviation / deviation - 1) < error);
  };
  check({TensorRole::embedding}, 0, 1);
  check({TensorRole::lm_head}, 0, 1 / 8.0);
  check({TensorRole::final_norm}, 1, 0.1);
  check({TensorRole::query, 1}, 0, 1 / 8.0);
  check({TensorRole::output, 0}, 0, 1 / std::sqrt(96.0) / 2);
  check({TensorRole::router, 0}, 0, 1 / 8.0);
  check({TensorRole::expert_gate, 0, 1}, 0, 1 / 8.0);
  check({TensorRole::expert_down, 1, 3}, 0, 1 / std::sqrt(96.0) / 2);
}

TEST_CASE("synthetic bytes depend on the seed, not on threads or shards") {
  const test::TempDir dir;
  Config config = small_config();
  config.ffn = 5003;  // tensors of more than one task, and of a size no buffer divides
  SyntheticOptions options;
  options.seed = 11;
  write(dir / "serial", config, options);
  ThreadPool pool(3);
  write_synthetic_checkpoint(dir / "threads", config, options, pool);
  REQUIRE(test::read_file(dir / "serial/model.safetensors") ==
          test::read_file(dir / "threads/model.safetensors"));
  options.max_shard_bytes = 1'000'000;
  write(dir / "shards", config, options);
  REQUIRE_FALSE(fs::exists(dir / "shards/model.safetensors"));
  REQUIRE(fs::exists(dir / "shards/model.safetensors.index.json"));
  options.seed = 12;
  write(dir / "other", config, options);

  const auto serial = open_checkpoint(dir / "serial");
  const auto shards = open_checkpoint(dir / "shards");
  const auto other = open_checkpoint(dir / "other");
  for (const TensorKey key : {TensorKey{TensorRole::embedding}, TensorKey{TensorRole::router, 1},
                              TensorKey{TensorRole::expert_down, 1, 2}}) {
    const WeightView a = serial->tensor(key), b = shards->tensor(key), c = other->tensor(key);
    REQUIRE(a.bytes() == b.bytes());
    REQUIRE(std::memcmp(a.data, b.data, a.bytes()) == 0);
    REQUIRE(std::memcmp(a.data, c.data, a.bytes()) != 0);
  }
  const WeightView w1 = serial->tensor({TensorRole::expert_gate, 0, 0});
  const WeightView w3 = serial->tensor({TensorRole::expert_up, 0, 0});
  REQUIRE(std::memcmp(w1.data, w3.data, w1.bytes()) != 0);
}

TEST_CASE("a tied synthetic checkpoint holds no lm_head") {
  const test::TempDir dir;
  Config config = small_config();
  config.tie_embeddings = true;
  write(dir / "model/", config, {});
  const auto checkpoint = open_checkpoint(dir / "model");
  REQUIRE(checkpoint->tensor({TensorRole::lm_head}).data ==
          checkpoint->tensor({TensorRole::embedding}).data);
}

TEST_CASE("writing a synthetic checkpoint reports progress, and leaves nothing when stopped") {
  const test::TempDir dir;
  SyntheticOptions options;
  std::size_t last = 0, total = 0;
  options.on_progress = [&](const SyntheticProgress& progress) {
    REQUIRE(progress.done > last);
    last = progress.done;
    total = progress.total;
    return true;
  };
  write(dir / "model", small_config(), options);
  REQUIRE(last == total);
  REQUIRE(total == open_checkpoint(dir / "model")->weight_bytes());

  options.on_progress = [](const SyntheticProgress& progress) { return progress.done < 100000; };
  require_error(ErrorCode::cancelled, {"cancelled"},
                [&] { write(dir / "stopped", small_config(), options); });
  REQUIRE(test::count_entries(dir.path()) == 1);
}

TEST_CASE("a synthetic checkpoint never overwrites, and needs a place and room to be written") {
  const test::TempDir dir;
  const auto invalid = ErrorCode::invalid_argument;
  fs::create_directory(dir / "empty");
  test::write_file(dir / "file", "x");
  fs::create_symlink("nowhere", dir / "link");
  for (const char* name : {"empty", "file", "link"}) {
    require_error(invalid, {name, "taken"}, [&] { write(dir / name, small_config(), {}); });
  }
  require_error(ErrorCode::io, {"absent/model", "No such file"},
                [&] { write(dir / "absent/model", small_config(), {}); });
  Config config = small_config();
  config.top_k = 5;
  require_error(invalid, {"top_k"}, [&] { write(dir / "bad", config, {}); });
  SyntheticOptions quantised;
  quantised.dtype = DType::q4_k;
  require_error(invalid, {"bf16", "q4_k"}, [&] { write(dir / "bad", small_config(), quantised); });
  config = small_config();
  config.vocab = 1 << 24;
  config.hidden = 1 << 24;
  require_error(ErrorCode::io, {dir.path().string(), "free disk space"},
                [&] { write(dir / "huge", config, {}); });
  REQUIRE(test::count_entries(dir.path()) == 3);
}

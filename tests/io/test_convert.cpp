#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "io/support/file_size_limit.hpp"
#include "io/support/files.hpp"
#include "io/support/models.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/io/convert.hpp"
#include "mixtral/io/native_checkpoint.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::require_error;
namespace fs = std::filesystem;

namespace {

bool stays_f32(TensorRole role) {
  return role == TensorRole::router || role == TensorRole::final_norm ||
         role == TensorRole::attention_norm || role == TensorRole::ffn_norm;
}

/// Requires that every tensor of `packed` holds the source's, in the type that `type_of` says.
template <class TypeOf>
void require_packed(const Checkpoint& source, const Checkpoint& packed, TypeOf type_of) {
  REQUIRE(packed.config() == source.config());
  std::size_t bytes = 0;
  visit_tensors(source.config(), [&](const TensorKey& key) {
    INFO(name_of(key));
    const WeightView from = source.tensor(key);
    const WeightView view = packed.tensor(key);
    const DType type = stays_f32(key.role) ? DType::f32 : type_of(key);
    REQUIRE(name_of(view.dtype) == name_of(type));
    REQUIRE(view.rows == from.rows);
    REQUIRE(view.cols == from.cols);
    const bool tiled = key.role != TensorRole::embedding && quant::can_tile(type, from.cols);
    REQUIRE(view.layout == (tiled ? Layout::tiled : Layout::row_major));
    REQUIRE(reinterpret_cast<std::uintptr_t>(view.data) % 4096 == 0);
    std::vector<std::byte> rows = test::rows_of(view);
    const std::vector<std::byte> expected = test::expected_rows(from, type);
    REQUIRE(std::all_of(rows.begin() + static_cast<std::ptrdiff_t>(expected.size()), rows.end(),
                        [](std::byte b) { return b == std::byte{0}; }));
    rows.resize(expected.size());
    REQUIRE(rows == expected);
    bytes += view.bytes();
  });
  REQUIRE(packed.weight_bytes() == bytes);
}

/// A model that is only a shape.
class ShapeOnly final : public Checkpoint {
 public:
  explicit ShapeOnly(const Config& config) : config_(config) {}
  const Config& config() const noexcept override { return config_; }
  const GenerationDefaults& generation_defaults() const noexcept override { return defaults_; }
  WeightView tensor(TensorKey) const override { return {nullptr, DType::bf16, 32, 32}; }
  std::size_t weight_bytes() const noexcept override { return 0; }
  void check_unchanged() const override {}

 private:
  Config config_;
  GenerationDefaults defaults_;
};

}  // namespace

TEST_CASE("a model packed in any type holds its weights, rounded") {
  const test::TempDir dir;
  for (const DType from : {DType::f32, DType::f16, DType::bf16}) {
    const fs::path model = dir / std::string(name_of(from));
    test::write_model(model, test::small_config(256, 512), from);
    const auto source = open_checkpoint(model);
    for (std::size_t i = 0; i < kDTypeCount; ++i) {
      const auto type = static_cast<DType>(i);
      INFO(name_of(from) << " to " << name_of(type));
      test::pack(model, dir / "packed", name_of(type));
      require_packed(*source, *open_checkpoint(dir / "packed"), [&](auto&) { return type; });
    }
  }
}

TEST_CASE("the same type keeps every bit, also those that no number has") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  const fs::path weights = dir / "model/model.safetensors";
  std::string bytes = test::read_file(weights);
  for (std::size_t i = bytes.size() - 100000; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(i * 37 % 251);  // bf16 of every kind, signalling NaN too
  }
  test::write_file(weights, bytes);
  test::pack(dir / "model", dir / "packed", "bf16");
  const auto source = open_checkpoint(dir / "model"), packed = open_checkpoint(dir / "packed");
  visit_tensors(source->config(), [&](const TensorKey& key) {
    if (stays_f32(key.role)) return;
    const WeightView view = source->tensor(key);
    std::vector<std::byte> rows = test::rows_of(packed->tensor(key));
    rows.resize(view.bytes());
    REQUIRE(std::equal(rows.begin(), rows.end(), view.data));
  });
}

TEST_CASE("every golden model can be packed, whatever its sizes") {
  const fs::path models = fs::path(MIXTRAL_GOLDENS_DIR) / "models";
  for (const auto& entry : fs::directory_iterator(models)) {
    if (!fs::exists(entry.path() / "config.json")) continue;
    INFO(entry.path());
    const test::TempDir dir;
    const auto source = open_checkpoint(entry.path());
    for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
      test::pack(entry.path(), dir / "packed", name_of(type));
      require_packed(*source, *open_checkpoint(dir / "packed"), [&](auto&) { return type; });
    }
    const auto recipe = named_recipe("q4_k_mixed", source->config());
    const ConvertReport report = test::pack(entry.path(), dir / "packed", "q4_k_mixed");
    REQUIRE_FALSE(report.substitutions.empty());
    const std::vector<TensorType> types = apply_recipe(recipe, source->config());
    std::size_t next = 0;
    require_packed(*source, *open_checkpoint(dir / "packed"), [&](const TensorKey& key) {
      while (name_of(types[next].key) != name_of(key)) ++next;
      return types[next].type;
    });
  }
}

TEST_CASE("a tied lm_head is written apart from the embedding") {
  const test::TempDir dir;
  Config config = test::small_config(64, 96);
  config.tie_embeddings = true;
  test::write_model(dir / "model", config);
  test::pack(dir / "model", dir / "packed", "q4_0");
  const auto packed = open_checkpoint(dir / "packed");
  REQUIRE(packed->config().tie_embeddings);
  REQUIRE(packed->tensor({TensorRole::lm_head}).data != packed->tensor({TensorRole::embedding}).data);
  require_packed(*open_checkpoint(dir / "model"), *packed, [](auto&) { return DType::q4_0; });
}

TEST_CASE("a native file can be packed again") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(256, 512));
  for (const char* type : {"bf16", "q8_0", "q4_k", "f32"}) {
    test::pack(dir / "model", dir / type, type);
  }
  for (const char* type : {"q8_0", "q4_k", "f32"}) {  // bf16 lost nothing
    test::pack(dir / "bf16", dir / "again", type);
    REQUIRE(test::read_file(dir / "again") == test::read_file(dir / type));
  }
  test::pack(dir / "q4_k", dir / "again", "q4_k");
  REQUIRE(test::read_file(dir / "again") == test::read_file(dir / "q4_k"));

  test::pack(dir / "q8_0", dir / "again", "q4_k");
  const auto q8 = open_checkpoint(dir / "q8_0"), again = open_checkpoint(dir / "again");
  for (const TensorRole role : {TensorRole::embedding, TensorRole::lm_head, TensorRole::query}) {
    const WeightView view = q8->tensor({role});
    std::vector<float> values(view.rows * view.cols);
    quant::dequantise(DType::q8_0, test::rows_of(view).data(), values);
    std::vector<std::byte> expected(bytes_of(DType::q4_k, values.size()));
    quant::quantise(DType::q4_k, values, expected.data());
    std::vector<std::byte> rows = test::rows_of(again->tensor({role}));
    rows.resize(expected.size());
    REQUIRE(rows == expected);
  }
  test::pack(dir / "q8_0", dir / "q8_0", "q4_0");  // in place
  REQUIRE(open_checkpoint(dir / "q8_0")->tensor({TensorRole::query}).dtype == DType::q4_0);
}

TEST_CASE("the files of a model travel with it") {
  const test::TempDir dir;
  const fs::path model = fs::path(MIXTRAL_EXAMPLES_DIR) / "models/pocket-mixtral";
  test::pack(model, dir / "packed", "q8_0");
  test::pack(dir / "packed", dir / "again", "q8_0");
  for (const char* file : {"packed", "again"}) {
    const auto packed = open_checkpoint(dir / file);
    for (const std::string_view name : kModelFiles) {
      INFO(name);
      REQUIRE(packed->file(name) == open_checkpoint(model)->file(name));
    }
    REQUIRE(packed->file("tokenizer.model") == test::read_file(model / "tokenizer.model"));
    REQUIRE_FALSE(packed->file("model.safetensors"));
  }
}

TEST_CASE("the bytes don't depend on the threads") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(256, 1280));
  test::pack(dir / "model", dir / "one", "q4_k_mixed");
  for (const std::size_t n_threads : {2, 5}) {
    ThreadPool pool(n_threads);
    const auto source = open_checkpoint(dir / "model");
    convert_checkpoint(*source, dir / "many", named_recipe("q4_k_mixed", source->config()), {}, pool);
    REQUIRE(test::read_file(dir / "many") == test::read_file(dir / "one"));
  }
}

TEST_CASE("converting reports its progress, and leaves nothing when stopped") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  const auto source = open_checkpoint(dir / "model");
  const Recipe recipe = named_recipe("q8_0", source->config());
  SerialExecutor serial;
  std::vector<ConvertProgress> steps;
  ConvertOptions options;
  options.on_progress = [&](const ConvertProgress& progress) {
    steps.push_back(progress);
    return true;
  };
  const ConvertReport report =
      convert_checkpoint(*source, dir / "packed", recipe, options, serial);
  REQUIRE(report.weight_bytes == open_checkpoint(dir / "packed")->weight_bytes());
  REQUIRE(report.bits_per_weight() > 8.5);
  REQUIRE(report.substitutions.empty());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    REQUIRE(steps[i].total == report.weight_bytes);
    REQUIRE(steps[i].done >= (i == 0 ? 0 : steps[i - 1].done));
  }
  REQUIRE(steps.back().done == report.weight_bytes);

  test::write_file(dir / "packed", "old");
  for (std::size_t stop = 0; stop < steps.size(); ++stop) {
    std::size_t step = 0;
    options.on_progress = [&](const ConvertProgress&) { return step++ != stop; };
    require_error(ErrorCode::cancelled, {"cancelled"}, [&] {
      convert_checkpoint(*source, dir / "packed", recipe, options, serial);
    });
    REQUIRE(test::read_file(dir / "packed") == "old");
    REQUIRE(test::count_entries(dir.path()) == 2);
  }
}

TEST_CASE("a full disk leaves the old file as it was") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  test::write_file(dir / "packed", "old");
  ThreadPool pool(3);
  const auto source = open_checkpoint(dir / "model");
  const Recipe recipe = named_recipe("q8_0", source->config());
  for (const rlim_t limit : {100, 10000, 100000, 200000}) {
    require_error(ErrorCode::io, {"packed", "can't write"}, [&] {
      const test::FileSizeLimit full(limit);
      convert_checkpoint(*source, dir / "packed", recipe, {}, pool);
    });
    REQUIRE(test::read_file(dir / "packed") == "old");
    REQUIRE(test::count_entries(dir.path()) == 2);
  }
}

TEST_CASE("a disk with too little room is noticed before anything is written") {
  const test::TempDir dir;
  Config config = test::small_config(1 << 20, 1 << 20);
  config.n_layers = 1000;  // 9e15 bytes
  SerialExecutor serial;
  require_error(ErrorCode::io, {dir.path().string(), "free disk space"}, [&] {
    convert_checkpoint(ShapeOnly(config), dir / "packed", named_recipe("q8_0", config), {}, serial);
  });
  REQUIRE(test::count_entries(dir.path()) == 0);
}

TEST_CASE("a kill leaves the old file as it was, and doesn't stand in the way of the next try") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  test::write_file(dir / "packed", "old");
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto source = open_checkpoint(dir / "model");
    SerialExecutor serial;
    ConvertOptions options;
    options.on_progress = [](const ConvertProgress& progress) {
      if (progress.done > progress.total / 2) kill(getpid(), SIGKILL);
      return true;
    };
    convert_checkpoint(*source, dir / "packed", named_recipe("q8_0", source->config()), options, serial);
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  REQUIRE(test::read_file(dir / "packed") == "old");
  REQUIRE(test::count_entries(dir.path()) == 3);
  test::pack(dir / "model", dir / "packed", "q8_0");
  REQUIRE_NOTHROW(open_checkpoint(dir / "packed"));
}

TEST_CASE("what can't be packed is refused before anything is written") {
  const test::TempDir dir;
  test::write_model(dir / "model", test::small_config(64, 96));
  const auto invalid = ErrorCode::invalid_argument;
  require_error(invalid, {"q4_k", "embedding", "64", "256", "q8_0"},
                [&] { test::pack(dir / "model", dir / "packed", "q4_k"); });
  require_error(invalid, {"model", "directory"},
                [&] { test::pack(dir / "model", dir / "model", "q8_0"); });
  require_error(ErrorCode::io, {"absent/packed", "No such file"},
                [&] { test::pack(dir / "model", dir / "absent/packed", "q8_0"); });
  REQUIRE(test::count_entries(dir.path()) == 1);
}

// A network of quantised weights against one of the same weights dequantised to f32, whose arithmetic the
// goldens hold to transformers'.
#include <cstring>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "generate/tiny_model.hpp"
#include "model/golden.hpp"
#include "quant/quantised.hpp"
#include "support/catch.hpp"
#include "mixtral/io/synthetic.hpp"
#include "support/kernel_tables.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

constexpr double kF32Tolerance = 1e-5;
constexpr double kAutoTolerance = 1e-2;

/// Wide enough for blocks of 256. Every token uses every expert: where two of them come close, rounding
/// may choose another one, and no bound holds across that jump.
std::shared_ptr<const Checkpoint> source_checkpoint() {
  static const std::shared_ptr<const Checkpoint> checkpoint = [] {
    static const TempDir directory;
    Config config = tiny_config();
    config.hidden = 256;
    config.ffn = 512;
    config.n_heads = 8;
    config.head_dim = 32;
    config.n_experts = config.top_k = 2;
    SerialExecutor executor;
    SyntheticOptions options;
    options.seed = 2;
    write_synthetic_checkpoint(directory / "model", config, options, executor);
    return open_checkpoint(directory / "model");
  }();
  return checkpoint;
}

bool is_matrix(TensorRole role) {
  return role != TensorRole::router && role != TensorRole::attention_norm &&
         role != TensorRole::ffn_norm && role != TensorRole::final_norm;
}

/// The tensors of a synthetic checkpoint after a trip through `dtype`: dequantised in rows, or as they are
/// stored, in tiles except for the embedding.
class QuantisedCheckpoint final : public Checkpoint {
 public:
  enum class As { f32_rows, tiles, rows };

  QuantisedCheckpoint(DType dtype, As as) : dtype_(dtype), as_(as) {}

  const Config& config() const noexcept override { return source_->config(); }
  const GenerationDefaults& generation_defaults() const noexcept override {
    return source_->generation_defaults();
  }
  WeightView tensor(TensorKey key) const override {
    const WeightView source = source_->tensor(key);
    if (!is_matrix(key.role)) return source;
    auto& memory = memory_[{key.role, key.layer, key.expert}];
    const std::size_t n = source.rows * source.cols;
    std::vector<float> values(n);
    quant::dequantise(source.dtype, source.data, values);
    std::vector<std::byte> blocks = quantised(dtype_, values);
    if (as_ == As::f32_rows) {
      values = dequantised(dtype_, blocks);
      memory = AlignedBuffer<std::byte>(n * sizeof(float));
      std::memcpy(memory.data(), values.data(), memory.size());
      return {memory.data(), DType::f32, source.rows, source.cols};
    }
    const Layout layout = as_ == As::tiles && key.role != TensorRole::embedding
                              ? Layout::tiled
                              : Layout::row_major;
    WeightView view{nullptr, dtype_, source.rows, source.cols, layout};
    memory = AlignedBuffer<std::byte>(view.bytes());
    view.data = memory.data();
    if (layout == Layout::tiled) {
      quant::tile_rows(dtype_, blocks.data(), view.rows, view.cols, memory.data());
    } else {
      std::memcpy(memory.data(), blocks.data(), blocks.size());
    }
    return view;
  }
  std::size_t weight_bytes() const noexcept override { return 0; }
  void check_unchanged() const override {}

 private:
  std::shared_ptr<const Checkpoint> source_ = source_checkpoint();
  DType dtype_;
  As as_;
  mutable std::map<std::tuple<TensorRole, std::size_t, std::size_t>, AlignedBuffer<std::byte>>
      memory_;
};

/// Logits [n, vocab] of `ids`, which go through the network `chunk` at a time.
std::vector<float> logits(DType dtype, QuantisedCheckpoint::As as, const ComputeOptions& options,
                          std::span<const TokenId> ids, std::size_t chunk = 160,
                          std::size_t n_threads = 2) {
  const Mixtral network(std::make_shared<QuantisedCheckpoint>(dtype, as), options);
  ThreadPool pool(n_threads);
  KvCache cache(network.config(), ids.size(), DType::f32);
  Workspace workspace(network.config(), ids.size(), ids.size(), ids.size(), n_threads);
  std::vector<float> all;
  for (; !ids.empty(); ids = ids.subspan(std::min(chunk, ids.size()))) {
    const BatchItem item{&cache, ids.first(std::min(chunk, ids.size())), LogitsFor::all};
    const MatrixView<const float> rows = network.forward({&item, 1}, workspace, pool);
    all.insert(all.end(), rows.data, rows.data + rows.rows * rows.cols);
  }
  return all;
}

std::vector<DType> tiled_types() {
  std::vector<DType> types(kQuantisedTypes.begin(), kQuantisedTypes.end());
  types.push_back(DType::bf16);
  return types;
}

using As = QuantisedCheckpoint::As;

}  // namespace

TEST_CASE("tiled weights give the logits of their dequantised values") {
  const std::vector<TokenId> ids = random_ids(24, 3);
  for (const DType dtype : tiled_types()) {
    const std::vector<float> expected =
        logits(dtype, As::f32_rows, {.precision = Precision::f32}, ids);
    for (const KernelTable* table : kernel_tables()) {
      INFO(name_of(dtype) << " " << name_of(table->isa));
      const auto exact =
          logits(dtype, As::tiles, {.isa = table->isa, .precision = Precision::f32}, ids);
      CHECK(relative_error(exact, expected) <= kF32Tolerance);
      const auto fast = logits(dtype, As::tiles, {.isa = table->isa}, ids);
      CHECK(relative_error(fast, expected) <= kAutoTolerance);
    }
  }
}

TEST_CASE("tiled weights give the same bits for every chunk size and thread count") {
  const std::vector<TokenId> ids = random_ids(70, 5);
  for (const DType dtype : {DType::q8_0, DType::q4_k, DType::q6_k, DType::bf16}) {
    INFO(name_of(dtype));
    const std::vector<float> expected = logits(dtype, As::tiles, {}, ids);
    for (const std::size_t chunk : {1, 3, 64, 65}) {
      CHECK(bit_difference(logits(dtype, As::tiles, {}, ids, chunk), expected) == "");
    }
    for (const std::size_t n_threads : {1, 3}) {
      CHECK(bit_difference(logits(dtype, As::tiles, {}, ids, 160, n_threads), expected) == "");
    }
  }
}

TEST_CASE("quantised weights in rows give the bits of tiles") {
  const std::vector<TokenId> ids = random_ids(70, 7);
  for (const DType dtype : kQuantisedTypes) {
    INFO(name_of(dtype));
    for (const Precision precision : {Precision::automatic, Precision::f32}) {
      const ComputeOptions options{.precision = precision};
      const std::vector<float> expected = logits(dtype, As::tiles, options, ids);
      CHECK(bit_difference(logits(dtype, As::rows, options, ids), expected) == "");
      CHECK(bit_difference(logits(dtype, As::rows, options, ids, 1), expected) == "");
    }
  }
}

// A network of quantised weights against one of the same weights dequantised to f32, whose arithmetic the
// goldens hold to transformers'; and what storing keys and values in 8 bits changes.
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "generate/tiny_model.hpp"
#include "model/golden.hpp"
#include "quant/quantised.hpp"
#include "support/catch.hpp"
#include "mixtral/io/recipe.hpp"
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

/// The tensors of a checkpoint after a trip through the types that a recipe gives them: dequantised in
/// rows, or as they are stored, in tiles where that can be, except for the embedding.
class QuantisedCheckpoint final : public Checkpoint {
 public:
  enum class As { f32_rows, tiles, rows };

  QuantisedCheckpoint(std::shared_ptr<const Checkpoint> source, std::string_view recipe, As as)
      : source_(std::move(source)), as_(as) {
    for (const TensorType& tensor :
         apply_recipe(named_recipe(recipe, source_->config()), source_->config())) {
      types_[name_of(tensor.key)] = tensor.type;
    }
  }

  const Config& config() const noexcept override { return source_->config(); }
  const GenerationDefaults& generation_defaults() const noexcept override {
    return source_->generation_defaults();
  }
  WeightView tensor(TensorKey key) const override {
    const WeightView source = source_->tensor(key);
    if (!is_matrix(key.role)) return source;
    const DType dtype = types_.at(name_of(key));
    auto& memory = memory_[{key.role, key.layer, key.expert}];
    const std::size_t n = source.rows * source.cols;
    std::vector<float> values(n);
    quant::dequantise(source.dtype, source.data, values);
    std::vector<std::byte> blocks = quantised(dtype, values);
    if (as_ == As::f32_rows) {
      values = dequantised(dtype, blocks);
      memory = AlignedBuffer<std::byte>(n * sizeof(float));
      std::memcpy(memory.data(), values.data(), memory.size());
      return {memory.data(), DType::f32, source.rows, source.cols};
    }
    const bool tiled = as_ == As::tiles && key.role != TensorRole::embedding &&
                       quant::can_tile(dtype, source.cols);
    const Layout layout = tiled ? Layout::tiled : Layout::row_major;
    WeightView view{nullptr, dtype, source.rows, source.cols, layout};
    memory = AlignedBuffer<std::byte>(view.bytes());
    view.data = memory.data();
    if (layout == Layout::tiled) {
      quant::tile_rows(dtype, blocks.data(), view.rows, view.cols, memory.data());
    } else {
      std::memcpy(memory.data(), blocks.data(), blocks.size());
    }
    return view;
  }
  std::size_t weight_bytes() const noexcept override { return 0; }
  void check_unchanged() const override {}

 private:
  std::shared_ptr<const Checkpoint> source_;
  As as_;
  std::map<std::string, DType> types_;
  mutable std::map<std::tuple<TensorRole, std::size_t, std::size_t>, AlignedBuffer<std::byte>>
      memory_;
};

using As = QuantisedCheckpoint::As;

/// How ids go through a network.
struct Run {
  ComputeOptions compute = {};
  std::size_t chunk = 160;
  std::size_t n_threads = 2;
  DType cache = DType::f32;
};

/// Keeps which experts each layer chose for each token, in ascending order.
struct RouteRecorder final : ForwardObserver {
  void on_hidden(std::size_t, MatrixView<const float>) override {}
  void on_router(std::size_t, MatrixView<const std::uint32_t> experts, MatrixView<const float>) override {
    for (std::size_t token = 0; token < experts.rows; ++token) {
      const auto row = experts.row(token);
      routes[token].emplace_back(row.begin(), row.end());
      std::sort(routes[token].back().begin(), routes[token].back().end());
    }
  }
  std::map<std::size_t, std::vector<std::vector<std::uint32_t>>> routes;  // by token, [n_layers, top_k]
};

/// Logits [n, vocab] of `ids`.
std::vector<float> logits(std::shared_ptr<const Checkpoint> checkpoint, std::span<const TokenId> ids,
                          const Run& run, RouteRecorder* recorder = nullptr) {
  const Mixtral network(std::move(checkpoint), run.compute);
  ThreadPool pool(run.n_threads);
  KvCache cache(network.config(), ids.size(), run.cache);
  Workspace workspace(network.config(), ids.size(), ids.size(), ids.size(), run.n_threads);
  std::vector<float> all;
  for (; !ids.empty(); ids = ids.subspan(std::min(run.chunk, ids.size()))) {
    const BatchItem item{&cache, ids.first(std::min(run.chunk, ids.size())), LogitsFor::all};
    const MatrixView<const float> rows = network.forward({&item, 1}, workspace, pool, recorder);
    all.insert(all.end(), rows.data, rows.data + rows.rows * rows.cols);
  }
  return all;
}

std::vector<float> logits(std::string_view recipe, As as, std::span<const TokenId> ids, const Run& run) {
  return logits(std::make_shared<QuantisedCheckpoint>(source_checkpoint(), recipe, as), ids, run);
}

/// Every type that can be tiled, and every mixture.
std::vector<std::string_view> recipes() {
  std::vector<std::string_view> names = {"bf16"};
  for (const DType type : kQuantisedTypes) names.push_back(name_of(type));
  for (const Mixture& mixture : kMixtures) names.push_back(mixture.name);
  return names;
}

/// Tokens before the first one that any layer sends elsewhere.
std::size_t n_same_routes(const RouteRecorder& a, const RouteRecorder& b) {
  std::size_t n = 0;
  while (n < a.routes.size() && a.routes.at(n) == b.routes.at(n)) ++n;
  return n;
}

/// Holds the tiled weights of a recipe to the bounds on every instruction set, for the tokens that rounding
/// sends to the same experts. Returns how many those are of all, as a fraction.
double check_bounds(const std::shared_ptr<const Checkpoint>& source, std::string_view recipe,
                    std::span<const TokenId> ids, double auto_tolerance) {
  const auto as = [&](As how) { return std::make_shared<QuantisedCheckpoint>(source, recipe, how); };
  RouteRecorder expected_routes;
  const auto expected =
      logits(as(As::f32_rows), ids, {.compute = {.precision = Precision::f32}}, &expected_routes);
  std::size_t n_checked = 0;
  for (const KernelTable* table : kernel_tables()) {
    INFO(recipe << " " << name_of(table->isa));
    const auto exact =
        logits(as(As::tiles), ids, {.compute = {.isa = table->isa, .precision = Precision::f32}});
    CHECK(relative_error(exact, expected) <= kF32Tolerance);
    RouteRecorder routes;
    const auto fast = logits(as(As::tiles), ids, {.compute = {.isa = table->isa}}, &routes);
    const std::size_t n = n_same_routes(routes, expected_routes), size = n * source->config().vocab;
    INFO(n << " of " << ids.size() << " tokens");
    REQUIRE(n > 0);
    CHECK(relative_error(std::span(fast).first(size), std::span(expected).first(size)) <= auto_tolerance);
    n_checked += n;
  }
  return static_cast<double>(n_checked) / static_cast<double>(ids.size() * kernel_tables().size());
}

}  // namespace

TEST_CASE("tiled weights give the logits of their dequantised values") {
  const std::vector<TokenId> ids = random_ids(24, 3);
  for (const std::string_view recipe : recipes()) {
    CHECK(check_bounds(source_checkpoint(), recipe, ids, kAutoTolerance) == 1);
  }
}

TEST_CASE("the golden models, packed by mixtures, give the logits of their dequantised values") {
  double checked = 0, n = 0;
  for (const auto& path : golden_models()) {
    const std::shared_ptr<const Checkpoint> source = open_checkpoint(path);
    for (const Mixture& mixture : kMixtures) {
      INFO(path.filename());
      checked += check_bounds(source, mixture.name, Golden(path).ints("prompt_ids"), kAutoTolerance);
      ++n;
    }
  }
  CHECK(checked / n > 0.9);  // few tokens come so close to two experts
}

TEST_CASE("tiled weights give the same bits for every chunk size and thread count") {
  const std::vector<TokenId> ids = random_ids(70, 5);
  for (const std::string_view recipe : {"q8_0", "q4_k", "q6_k", "bf16"}) {
    INFO(recipe);
    const std::vector<float> expected = logits(recipe, As::tiles, ids, {});
    for (const std::size_t chunk : {1, 3, 64, 65}) {
      CHECK(bit_difference(logits(recipe, As::tiles, ids, {.chunk = chunk}), expected) == "");
    }
    for (const std::size_t n_threads : {1, 3}) {
      CHECK(bit_difference(logits(recipe, As::tiles, ids, {.n_threads = n_threads}), expected) == "");
    }
  }
}

TEST_CASE("a cache of 8 bits changes logits little, and not with chunks or threads") {
  const std::vector<TokenId> ids = random_ids(300, 7);
  const ComputeOptions exact = {.precision = Precision::f32};
  const auto expected = logits("bf16", As::f32_rows, ids, {.compute = exact});
  for (const KernelTable* table : kernel_tables()) {
    INFO(name_of(table->isa));
    const ComputeOptions compute = {.isa = table->isa, .precision = Precision::f32};
    const auto run = [&](std::size_t chunk, std::size_t n_threads) {
      return logits("bf16", As::f32_rows, ids,
                    {.compute = compute, .chunk = chunk, .n_threads = n_threads, .cache = DType::q8_0});
    };
    const std::vector<float> whole = run(300, 2);
    CHECK(relative_error(whole, expected) > kF32Tolerance);  // it is in 8 bits
    CHECK(relative_error(whole, expected) <= kAutoTolerance);
    CHECK(bit_difference(run(1, 1), whole) == "");
    CHECK(bit_difference(run(7, 3), whole) == "");
    CHECK(bit_difference(run(256, 5), whole) == "");
  }
}

TEST_CASE("quantised weights in rows give the bits of tiles") {
  const std::vector<TokenId> ids = random_ids(70, 7);
  for (const DType dtype : kQuantisedTypes) {
    INFO(name_of(dtype));
    for (const Precision precision : {Precision::automatic, Precision::f32}) {
      const Run run{.compute = {.precision = precision}};
      const std::vector<float> expected = logits(name_of(dtype), As::tiles, ids, run);
      CHECK(bit_difference(logits(name_of(dtype), As::rows, ids, run), expected) == "");
      Run by_one = run;
      by_one.chunk = 1;
      CHECK(bit_difference(logits(name_of(dtype), As::rows, ids, by_one), expected) == "");
    }
  }
}

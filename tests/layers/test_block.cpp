// What a decoder layer costs in synchronisations, and the rotary angles.
#include <cmath>
#include <filesystem>

#include "mixtral/io/checkpoint.hpp"
#include "mixtral/layers/rotary.hpp"
#include "mixtral/model/mixtral.hpp"
#include "support/catch.hpp"

using namespace mixtral;

namespace {

/// Runs serially and counts the regions that a pool would have to wake its workers for.
class CountingExecutor final : public Executor {
 public:
  std::size_t n_threads() const noexcept override { return 1; }
  void run(std::size_t n_tasks, TaskRef task) override {
    if (n_tasks > 1) ++n_regions;
    for (std::size_t t = 0; t < n_tasks; ++t) task(t, 0);
  }
  std::size_t n_regions = 0;
};

}  // namespace

TEST_CASE("one token needs five parallel regions a layer and one for the logits") {
  const auto path = std::filesystem::path(MIXTRAL_GOLDENS_DIR) / "models" / "gqa4_top2of8";
  const Mixtral network(open_checkpoint(path));
  const Config& config = network.config();
  KvCache cache(config, 8, DType::f16);
  Workspace workspace(config, 1, 1, 8, 1);
  CountingExecutor executor;
  const TokenId token = 5;
  const BatchItem item{&cache, {&token, 1}, LogitsFor::last};
  network.forward({&item, 1}, workspace, executor);
  // q, k, v | attention | output | gate and up | down
  REQUIRE(executor.n_regions == 5 * config.n_layers + 1);
}

TEST_CASE("rotary angles follow their formula") {
  const std::size_t head_dim = 128;
  const Rotary rotary(head_dim, 1e6);
  std::vector<float> cos(head_dim / 2), sin(head_dim / 2);
  for (const std::size_t position : {0, 1, 77, 4095, 65535}) {
    rotary.angles(position, cos, sin);
    for (std::size_t i = 0; i < head_dim / 2; ++i) {
      const long double frequency =
          std::pow(1e6L, -2.0L * static_cast<long double>(i) / static_cast<long double>(head_dim));
      const long double angle = static_cast<long double>(position) * frequency;
      // Frequency and angle are rounded to f32, as the reference does.
      const double tolerance = 2e-7 * static_cast<double>(angle) + 1e-6;
      REQUIRE(std::abs(cos[i] - static_cast<double>(std::cos(angle))) <= tolerance);
      REQUIRE(std::abs(sin[i] - static_cast<double>(std::sin(angle))) <= tolerance);
    }
  }
}

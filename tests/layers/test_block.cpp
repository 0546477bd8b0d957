// What a decoder layer costs in synchronisations.
#include <filesystem>

#include "mixtral/io/checkpoint.hpp"
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
  const auto path = std::filesystem::path(MIXTRAL_EXAMPLES_DIR) / "models" / "pocket-mixtral";
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

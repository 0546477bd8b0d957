// The tiny checkpoints of tests/goldens/models and what Hugging Face transformers computed from them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mixtral/mixtral.hpp"
#include "support/compare.hpp"
#include "support/golden_file.hpp"

namespace mixtral::test {

inline std::vector<std::filesystem::path> golden_models() {
  std::vector<std::filesystem::path> found;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(MIXTRAL_GOLDENS_DIR) / "models")) {
    if (entry.is_directory()) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// golden.safetensors of one model.
class Golden : public GoldenFile {
 public:
  explicit Golden(const std::filesystem::path& model) : GoldenFile(model / "golden.safetensors") {}
};

/// A network with everything that one sequence needs.
struct Runner {
  Runner(const std::filesystem::path& path, const ComputeOptions& options, DType cache_type,
         std::size_t n_threads = 2)
      : network(std::make_shared<const Mixtral>(open_checkpoint(path), options)),
        pool(n_threads),
        cache(network->config(), 256, cache_type),
        workspace(network->config(), 160, 160, 256, n_threads) {}

  MatrixView<const float> forward(std::span<const TokenId> ids, LogitsFor logits,
                                  ForwardObserver* observer = nullptr) {
    const BatchItem item{&cache, ids, logits};
    return network->forward({&item, 1}, workspace, pool, observer);
  }

  std::vector<float> logits(std::span<const TokenId> ids) {
    const MatrixView<const float> view = forward(ids, LogitsFor::all);
    return {view.data, view.data + view.rows * view.cols};
  }

  std::shared_ptr<const Mixtral> network;
  ThreadPool pool;
  KvCache cache;
  Workspace workspace;
};

inline TokenId argmax(std::span<const float> row) {
  return static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin());
}

}  // namespace mixtral::test

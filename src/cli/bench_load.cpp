#include "bench_load.hpp"

#include <chrono>
#include <filesystem>

#include "mixtral/generate/context.hpp"
#include "page_cache.hpp"

namespace mixtral::cli {
namespace {

/// Whether nothing of the weight files is held any more.
bool drop_weights(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return drop_from_page_cache(path);
  bool all_gone = true;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() == ".safetensors") {
      all_gone = drop_from_page_cache(entry.path()) && all_gone;
    }
  }
  return all_gone;
}

double seconds_to_logits(const ModelOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const Model model = load_model(options);
  ContextOptions context_options = options.context();
  context_options.n_ctx = 1;
  const TokenId token = 0;
  Context(model, context_options).eval({&token, 1});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

LoadTimes time_load(const ModelOptions& options, bool cold) {
  const bool was_cold = cold && drop_weights(model_path(options.path));
  const double first = seconds_to_logits(options);
  return {was_cold ? std::optional(first) : std::nullopt, seconds_to_logits(options)};
}

}  // namespace mixtral::cli

// The checkpoints of tests/goldens/checkpoints, and what the weights of any checkpoint are worth.
#pragma once

#include <filesystem>
#include <vector>

#include "io/row_reader.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/quant/convert.hpp"
#include "support/catch.hpp"

namespace mixtral::test {

inline const std::filesystem::path kCheckpoints =
    std::filesystem::path(MIXTRAL_GOLDENS_DIR) / "checkpoints";

/// A tensor widened, with queries and keys in Hugging Face's order.
inline std::vector<float> values_of(const Checkpoint& checkpoint, const TensorKey& key) {
  const LoadedTensor tensor = checkpoint.load(key);
  const detail::RowReader reader(checkpoint, key, tensor.view);
  const std::size_t step = tensor.view.layout == Layout::tiled ? kTileRows : 1;
  std::vector<std::byte> scratch(step * tensor.view.row_bytes());
  std::vector<float> values(tensor.view.rows * tensor.view.cols);
  for (std::size_t first = 0; first < tensor.view.rows; first += step) {
    const std::size_t count = std::min(step, tensor.view.rows - first);
    const std::byte* rows = reader.read(first, count, scratch.data());
    for (std::size_t i = 0; i < count; ++i) {
      quant::dequantise(tensor.view.dtype, rows + i * tensor.view.row_bytes(),
                        {values.data() + (first + i) * tensor.view.cols, tensor.view.cols});
    }
  }
  return values;
}

inline void require_same_weights(const Checkpoint& a, const Checkpoint& b) {
  visit_tensors(a.config(), [&](const TensorKey& key) {
    INFO(name_of(key));
    REQUIRE(values_of(a, key) == values_of(b, key));
  });
}

}  // namespace mixtral::test

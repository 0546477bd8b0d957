// The loop of all conversions: rows of a checkpoint, in other types and layouts, one batch after the other.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "mixtral/core/config.hpp"
#include "mixtral/core/executor.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/convert.hpp"

namespace mixtral::detail {

/// How a tensor lies in the source and is to lie in the target; neither has bytes.
struct WeightJob {
  TensorKey key;
  WeightView source, target;
};

/// Takes the next bytes of the target: of one tensor at a time, from one thread at a time.
using WeightSink = std::function<void(std::span<const std::byte>)>;

/// Hands the tensors of `jobs` to `sink`, in order, queries and keys with their rows in `order`. A tensor that
/// has its type already keeps its bits; others are widened to f32 and rounded. Makes a batch of tiles on all
/// threads while the one before is taken, and takes memory for those, and for up to 8 tensors that the source
/// has to decode. Throws what `sink` does, and Error(cancelled) when options.on_progress says so.
void stream_weights(const Checkpoint& source, const std::vector<WeightJob>& jobs, RotaryOrder order,
                    const WeightSink& sink, const ConvertOptions& options, Executor& executor);

}  // namespace mixtral::detail

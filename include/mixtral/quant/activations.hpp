// Activations as the tiled kernels read them: blocks of the depth, each block of all tokens together.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/core/dtype.hpp"

namespace mixtral::quant {

/// 64 activations of one token, x = scale * q with q = -127 .. 127 and scale = max |x| / 127. The
/// kernels take one token's neighbour from one block to the next: block b of token t is element
/// b * n_tokens + t. A prompt's lie in the L2 cache and are read from there for every tile: each byte costs time.
struct Q8Activations {
  static constexpr std::size_t kElements = 64;

  float scale;
  std::int32_t sums32[2];  ///< of q, by 32 elements
  std::int32_t sums16[2];  ///< of the first 16 of each 32
  std::int8_t q[kElements];

  /// The sum of the elements [16 * index, 16 * index + 16) of half `half`.
  __attribute__((always_inline)) std::int32_t sum16(std::size_t half, std::size_t index) const noexcept {
    return index == 0 ? sums16[half] : sums32[half] - sums16[half];
  }
};

/// 64 activations of one token as sums of two blocks, `fine` holding what rounding to `coarse` left: to 2^-16 of the
/// largest one. Ordered likewise.
struct Q16Activations {
  static constexpr std::size_t kElements = 64;

  Q8Activations coarse;
  Q8Activations fine;
};

/// 64 activations of one token as they are; ordered likewise. Rows as long as a model's would lie at distances that are
/// multiples of a large power of two, so that many tokens push each other out of the caches.
struct F32Activations {
  static constexpr std::size_t kElements = 64;

  float values[kElements];
};

/// 32 activations of one token in bf16; ordered likewise.
struct BF16Activations {
  static constexpr std::size_t kElements = 32;

  BF16 values[kElements];
};

}  // namespace mixtral::quant

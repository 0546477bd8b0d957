#include <cstring>
#include <limits>
#include <vector>

#include "mixtral/layers/kv_cache.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/storage.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

Config shape() {
  Config config;
  config.n_layers = 2;
  config.n_kv_heads = 3;
  config.head_dim = 4;
  return config;
}

constexpr std::size_t kContext = 5;

/// Fills every row of the cache's memory with bytes that tell it apart.
void fill(KvCache& cache, int offset) {
  const std::size_t head_bytes = kContext * 4 * size_of(cache.dtype());
  for (std::size_t layer = 0; layer < 2; ++layer) {
    for (std::size_t head = 0; head < 3; ++head) {
      const int id = offset + static_cast<int>(layer * 3 + head);
      std::memset(cache.keys(layer, head), id, head_bytes);
      std::memset(cache.values(layer, head), id + 50, head_bytes);
    }
  }
}

bool holds(const std::byte* memory, std::size_t n_bytes, int value) {
  for (std::size_t i = 0; i < n_bytes; ++i) {
    if (memory[i] != static_cast<std::byte>(value)) return false;
  }
  return true;
}

/// True when the first `n` positions are as fill(cache, offset) left them.
bool is_filled(KvCache& cache, int offset, std::size_t n) {
  const std::size_t bytes = n * 4 * size_of(cache.dtype());
  for (std::size_t layer = 0; layer < 2; ++layer) {
    for (std::size_t head = 0; head < 3; ++head) {
      const int id = offset + static_cast<int>(layer * 3 + head);
      if (!holds(cache.keys(layer, head), bytes, id)) return false;
      if (!holds(cache.values(layer, head), bytes, id + 50)) return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("a cache has the room that it was asked for, and no heads overlap") {
  for (const DType dtype : kDTypes) {
    KvCache cache(shape(), kContext, dtype);
    REQUIRE(cache.size() == 0);
    REQUIRE(cache.capacity() == kContext);
    REQUIRE(cache.dtype() == dtype);
    REQUIRE(cache.bytes() == 2 * 2 * 3 * kContext * 4 * size_of(dtype));
    fill(cache, 1);
    REQUIRE(is_filled(cache, 1, kContext));
  }
}

TEST_CASE("a clone holds the same positions and shares nothing") {
  for (const DType dtype : kDTypes) {
    KvCache cache(shape(), kContext, dtype);
    fill(cache, 1);
    cache.advance(3);
    KvCache clone = cache.clone();
    REQUIRE(clone.size() == 3);
    REQUIRE(clone.capacity() == kContext);
    REQUIRE(clone.dtype() == dtype);
    REQUIRE(is_filled(clone, 1, 3));
    fill(clone, 100);
    clone.advance(1);
    REQUIRE(is_filled(cache, 1, kContext));
    REQUIRE(cache.size() == 3);
  }
}

TEST_CASE("truncate forgets the end, and refuses to add") {
  KvCache cache(shape(), kContext, DType::f16);
  cache.advance(4);
  cache.truncate(4);
  REQUIRE(cache.size() == 4);
  cache.truncate(1);
  REQUIRE(cache.size() == 1);
  require_error(ErrorCode::invalid_argument, {"1", "2"}, [&] { cache.truncate(2); });
  REQUIRE(cache.size() == 1);
  cache.truncate(0);
  REQUIRE(cache.size() == 0);
}

TEST_CASE("sizes that can't be are errors") {
  require_error(ErrorCode::invalid_argument, {"1 position"},
                        [] { KvCache(shape(), 0, DType::f16); });
  for (const std::size_t n_ctx : {std::numeric_limits<std::size_t>::max(),
                                  std::numeric_limits<std::size_t>::max() / 64}) {
    require_error(ErrorCode::out_of_memory, {std::to_string(n_ctx)},
                          [&] { KvCache(shape(), n_ctx, DType::f32); });
  }
}

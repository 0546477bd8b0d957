#include <cstdint>
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

constexpr std::size_t kLayers = 2, kHeads = 3, kHeadDim = 4;

Config shape() {
  Config config;
  config.n_layers = kLayers;
  config.n_kv_heads = kHeads;
  config.head_dim = kHeadDim;
  return config;
}

/// Elements of any width that tell each key and value of a cache apart.
std::vector<std::byte> row(DType dtype, std::size_t seed) {
  std::vector<std::byte> bytes(kHeadDim * size_of(dtype));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(seed * 31 + i * 7);
  return bytes;
}

/// Calls f(layer, head, position, seed of the key).
template <class F>
void for_each_place(std::size_t n, F f) {
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    for (std::size_t head = 0; head < kHeads; ++head) {
      for (std::size_t p = 0; p < n; ++p) f(layer, head, p, (layer * kHeads + head) * 1000 + p);
    }
  }
}

void fill(KvCache& cache, std::size_t n, std::size_t seed) {
  for_each_place(n, [&](std::size_t layer, std::size_t head, std::size_t p, std::size_t place) {
    cache.set_key(layer, head, p, row(cache.dtype(), place + seed).data());
    const std::vector<std::byte> value = row(cache.dtype(), place + seed + 500);
    std::memcpy(cache.value(layer, head, p), value.data(), value.size());
  });
}

/// True when the first `n` positions are as fill(cache, n, seed) left them, where the kernels read them.
bool is_filled(const KvCache& cache, std::size_t n, std::size_t seed) {
  const std::size_t bytes = size_of(cache.dtype());
  bool same = true;
  for_each_place(n, [&](std::size_t layer, std::size_t head, std::size_t p, std::size_t place) {
    const std::byte* keys = cache.keys(layer, head) + p / 256 * cache.unit_stride();
    const std::byte* values = cache.values(layer, head) + p / 256 * cache.unit_stride();
    const auto key = row(cache.dtype(), place + seed), value = row(cache.dtype(), place + seed + 500);
    for (std::size_t d = 0; d < kHeadDim; ++d) {
      const std::size_t at = (p % 256 / 32 * kHeadDim + d) * 32 + p % 32;
      same = same && std::memcmp(keys + at * bytes, key.data() + d * bytes, bytes) == 0;
    }
    same = same &&
           std::memcmp(values + p % 256 * kHeadDim * bytes, value.data(), value.size()) == 0;
  });
  return same;
}

}  // namespace

TEST_CASE("a cache keeps every key and value at its place, and none overlap") {
  for (const DType dtype : kDTypes) {
    for (const std::size_t n_ctx : {1, 5, 31, 32, 33, 255, 256, 257, 600}) {
      INFO(name_of(dtype) << ", " << n_ctx << " positions");
      KvCache cache(shape(), n_ctx, dtype);
      REQUIRE(cache.size() == 0);
      REQUIRE(cache.capacity() == n_ctx);
      REQUIRE(cache.dtype() == dtype);
      fill(cache, n_ctx, 1);
      REQUIRE(is_filled(cache, n_ctx, 1));
    }
  }
}

TEST_CASE("a cache takes whole tiles of positions, and whole blocks of a long context") {
  const auto bytes = [](std::size_t n_ctx, DType dtype) {
    return KvCache(shape(), n_ctx, dtype).bytes() /
           (2 * kLayers * kHeads * kHeadDim * size_of(dtype));
  };
  for (const DType dtype : kDTypes) {
    REQUIRE(bytes(1, dtype) == 32);
    REQUIRE(bytes(64, dtype) == 64);
    REQUIRE(bytes(65, dtype) == 96);
    REQUIRE(bytes(256, dtype) == 256);
    REQUIRE(bytes(257, dtype) == 512);
  }
}

TEST_CASE("a clone holds the same positions and shares nothing") {
  for (const DType dtype : kDTypes) {
    for (const std::size_t held : {0, 3, 256, 300}) {
      KvCache cache(shape(), 301, dtype);
      fill(cache, 301, 1);
      cache.advance(held);
      KvCache clone = cache.clone();
      REQUIRE(clone.size() == held);
      REQUIRE(clone.capacity() == 301);
      REQUIRE(clone.dtype() == dtype);
      REQUIRE(is_filled(clone, held, 1));
      fill(clone, 301, 100);
      clone.advance(1);
      REQUIRE(is_filled(cache, 301, 1));
      REQUIRE(cache.size() == held);
    }
  }
}

TEST_CASE("a copy holds a beginning, in a cache of any size") {
  for (const DType dtype : kDTypes) {
    for (const std::size_t n_ctx : {40, 256, 700}) {
      for (const std::size_t size : {0, 1, 31, 40, 256, 300, 600}) {
        for (const std::size_t room : {1, 33, 300, 600}) {
          if (size > n_ctx || room < size) continue;
          INFO(name_of(dtype) << ", " << size << " of " << n_ctx << " positions into " << room);
          KvCache cache(shape(), n_ctx, dtype);
          fill(cache, n_ctx, 1);
          cache.advance(n_ctx);
          const KvCache copy = cache.copy(size, room);
          REQUIRE(copy.size() == size);
          REQUIRE(copy.capacity() == room);
          REQUIRE(copy.bytes() == KvCache::bytes_for(shape(), room, dtype));
          REQUIRE(is_filled(copy, size, 1));
        }
      }
    }
  }
}

TEST_CASE("truncate forgets the end, and refuses to add") {
  KvCache cache(shape(), 5, DType::f16);
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

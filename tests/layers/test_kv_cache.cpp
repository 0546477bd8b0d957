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

constexpr std::size_t kLayers = 2, kHeads = 3;

/// Two blocks of what comes in blocks.
constexpr std::size_t head_dim_of(DType dtype) { return is_quantised(dtype) ? 64 : 4; }

Config shape(std::size_t head_dim) {
  Config config;
  config.n_layers = kLayers;
  config.n_kv_heads = kHeads;
  config.head_dim = head_dim;
  return config;
}
Config shape(DType dtype) { return shape(head_dim_of(dtype)); }

/// Bytes that tell each key and value of a cache apart.
std::vector<std::byte> row(DType dtype, std::size_t seed) {
  std::vector<std::byte> bytes(bytes_of(dtype, head_dim_of(dtype)));
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

/// Whether column `column` of a tile at `tile` is `key`: element after element, or block after block of q8_0
/// first 32 quants and then the scale, which a row has in front.
bool is_column(DType dtype, const std::byte* tile, std::size_t column, const std::vector<std::byte>& key) {
  bool same = true;
  if (dtype == DType::q8_0) {
    for (std::size_t block = 0; block < key.size(); block += 34, tile += 34 * 32) {
      for (std::size_t d = 0; d < 32; ++d) same = same && tile[d * 32 + column] == key[block + 2 + d];
      same = same && std::memcmp(tile + 32 * 32 + column * 2, &key[block], 2) == 0;
    }
    return same;
  }
  const std::size_t bytes = size_of(dtype);
  for (std::size_t d = 0; d < key.size() / bytes; ++d) {
    same = same && std::memcmp(tile + (d * 32 + column) * bytes, &key[d * bytes], bytes) == 0;
  }
  return same;
}

/// True when the first `n` positions are as fill(cache, n, seed) left them, where the kernels read them.
bool is_filled(const KvCache& cache, std::size_t n, std::size_t seed) {
  bool same = true;
  for_each_place(n, [&](std::size_t layer, std::size_t head, std::size_t p, std::size_t place) {
    const std::byte* keys = cache.keys(layer, head) + p / 256 * cache.unit_stride();
    const std::byte* values = cache.values(layer, head) + p / 256 * cache.unit_stride();
    const auto key = row(cache.dtype(), place + seed), value = row(cache.dtype(), place + seed + 500);
    same = same && is_column(cache.dtype(), keys + p % 256 / 32 * 32 * key.size(), p % 32, key);
    same = same && std::memcmp(values + p % 256 * value.size(), value.data(), value.size()) == 0;
  });
  return same;
}

}  // namespace

TEST_CASE("a cache keeps every key and value at its place, and none overlap") {
  for (const DType dtype : kCacheDTypes) {
    for (const std::size_t n_ctx : {1, 5, 31, 32, 33, 255, 256, 257, 600}) {
      INFO(name_of(dtype) << ", " << n_ctx << " positions");
      KvCache cache(shape(dtype), n_ctx, dtype);
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
    return KvCache(shape(dtype), n_ctx, dtype).bytes() /
           (2 * kLayers * kHeads * bytes_of(dtype, head_dim_of(dtype)));
  };
  for (const DType dtype : kCacheDTypes) {
    REQUIRE(bytes(1, dtype) == 32);
    REQUIRE(bytes(64, dtype) == 64);
    REQUIRE(bytes(65, dtype) == 96);
    REQUIRE(bytes(256, dtype) == 256);
    REQUIRE(bytes(257, dtype) == 512);
  }
}

TEST_CASE("a clone holds the same positions and shares nothing") {
  for (const DType dtype : kCacheDTypes) {
    for (const std::size_t held : {0, 3, 256, 300}) {
      KvCache cache(shape(dtype), 301, dtype);
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
  for (const DType dtype : kCacheDTypes) {
    for (const std::size_t n_ctx : {40, 256, 700}) {
      for (const std::size_t size : {0, 1, 31, 40, 256, 300, 600}) {
        for (const std::size_t room : {1, 33, 300, 600}) {
          if (size > n_ctx || room < size) continue;
          INFO(name_of(dtype) << ", " << size << " of " << n_ctx << " positions into " << room);
          KvCache cache(shape(dtype), n_ctx, dtype);
          fill(cache, n_ctx, 1);
          cache.advance(n_ctx);
          const KvCache copy = cache.copy(size, room);
          REQUIRE(copy.size() == size);
          REQUIRE(copy.capacity() == room);
          REQUIRE(copy.bytes() == KvCache::bytes_for(shape(dtype), room, dtype));
          REQUIRE(is_filled(copy, size, 1));
        }
      }
    }
  }
}

TEST_CASE("truncate forgets the end, and refuses to add") {
  KvCache cache(shape(4), 5, DType::f16);
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
                        [] { KvCache(shape(4), 0, DType::f16); });
  for (const std::size_t n_ctx : {std::numeric_limits<std::size_t>::max(),
                                  std::numeric_limits<std::size_t>::max() / 64}) {
    require_error(ErrorCode::out_of_memory, {std::to_string(n_ctx)},
                          [&] { KvCache(shape(4), n_ctx, DType::f32); });
  }
}

TEST_CASE("8 bits take half the memory of 16, and the scales") {
  const auto bytes = [](DType dtype) { return KvCache(shape(128), 512, dtype).bytes(); };
  REQUIRE(bytes(DType::q8_0) * 32 == bytes(DType::f16) * 17);
}

TEST_CASE("types that a cache can't have, and heads that a type can't hold, are errors") {
  require_error(ErrorCode::invalid_argument, {"q4_k", "q8_0"},
                [] { KvCache(shape(256), 5, DType::q4_k); });
  for (const std::size_t head_dim : {4, 48}) {
    require_error(ErrorCode::invalid_argument, {"q8_0", "32", std::to_string(head_dim)},
                  [&] { KvCache(shape(head_dim), 5, DType::q8_0); });
  }
}

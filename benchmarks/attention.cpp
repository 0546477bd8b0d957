// Attention at 8x22B's shape: prompts of 512 tokens after 0 and 4096 positions (one kv head, one thread),
// and one token after 8192 (all kv heads, caches of several layers so that they come from memory).
#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "mixtral/core/isa.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "mixtral/kernels/table.hpp"
#include "mixtral/layers/kv_cache.hpp"
#include "roof.hpp"

namespace mixtral::bench {
namespace {

constexpr std::size_t kGroup = 6, kHeadDim = 128;

/// A cache of one layer or several in which every element is 0.25.
KvCache make_cache(Isa isa, DType dtype, std::size_t n_layers, std::size_t n_kv_heads, std::size_t n) {
  Config config;
  config.n_layers = n_layers;
  config.n_kv_heads = n_kv_heads;
  config.head_dim = kHeadDim;
  KvCache cache(config, n, dtype);
  const std::vector<float> row(kHeadDim, 0.25f);
  std::vector<std::byte> bytes(kHeadDim * sizeof(float));
  kernel_table(isa).narrow[static_cast<std::size_t>(dtype)](row.data(), kHeadDim, bytes.data());
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    for (std::size_t head = 0; head < n_kv_heads; ++head) {
      for (std::size_t p = 0; p < n; ++p) {
        cache.set_key(layer, head, p, bytes.data());
        std::memcpy(cache.value(layer, head, p), bytes.data(), bytes_of(dtype, kHeadDim));
      }
    }
  }
  return cache;
}

/// Query rows, results and scratch of `n_tokens` tokens of one kv head.
struct Rows {
  explicit Rows(std::size_t n_tokens_)
      : n_tokens(n_tokens_),
        query(n_tokens * kGroup * kHeadDim),
        values(query.size()),
        packed(query.size()),
        max_and_sum(2 * n_tokens * kGroup) {
    std::fill_n(query.data(), query.size(), 0.125f);
  }

  AttendArgs args(const KvCache& cache, std::size_t layer, std::size_t kv_head) {
    return {.query = query.data(),
            .keys = cache.keys(layer, kv_head),
            .values = cache.values(layer, kv_head),
            .unit_stride = cache.unit_stride(),
            .n_tokens = n_tokens,
            .group = kGroup,
            .head_dim = kHeadDim,
            .token_stride = kGroup * kHeadDim,
            .position = 0,
            .window = std::numeric_limits<std::size_t>::max(),
            .begin = 0,
            .end = 0,
            .packed = packed.data(),
            .state = {max_and_sum.data(), max_and_sum.data() + n_tokens * kGroup, values.data()},
            .state_stride = 0};
  }

  std::size_t n_tokens;
  AlignedBuffer<float> query, values, packed, max_and_sum;
};

void prompt(benchmark::State& state, Isa isa, DType dtype) {
  constexpr std::size_t kTokens = 512, kTile = 16;
  const auto before = static_cast<std::size_t>(state.range(0));
  const KvCache cache = make_cache(isa, dtype, 1, 1, before + kTokens);
  Rows rows(kTile);
  AttendArgs args = rows.args(cache, 0, 0);
  for (auto _ : state) {
    for (std::size_t t = 0; t < kTokens; t += kTile) {
      args.position = before + t;
      args.end = before + t + kTile;
      kernel_table(isa).attend[static_cast<std::size_t>(dtype)](args);
      benchmark::DoNotOptimize(rows.values.data());
    }
  }
  const double seen = kTokens * static_cast<double>(before) + kTokens * (kTokens + 1) / 2.0;
  count_operations(state, 4.0 * kHeadDim * kGroup * seen, isa, roofs::Arithmetic::f32);
}

void one_token(benchmark::State& state, Isa isa, DType dtype) {
  constexpr std::size_t kPositions = 8192, kUnits = kPositions / kAttentionUnit, kRun = 8;
  constexpr std::size_t kLayers = 4, kKvHeads = 8;
  ThreadPool pool(static_cast<std::size_t>(state.range(0)));
  const KvCache cache = make_cache(isa, dtype, kLayers, kKvHeads, kPositions);
  std::vector<Rows> rows;
  for (std::size_t worker = 0; worker < pool.n_threads(); ++worker) rows.emplace_back(1);
  for (auto _ : state) {
    pool.run(kLayers * kKvHeads * kUnits / kRun, [&](std::size_t task, std::size_t worker) {
      const std::size_t head = task * kRun / kUnits, first = task * kRun % kUnits;
      AttendArgs args = rows[worker].args(cache, head / kKvHeads, head % kKvHeads);
      args.position = kPositions - 1;
      args.begin = first * kAttentionUnit;
      args.end = args.begin + kRun * kAttentionUnit;
      kernel_table(isa).attend[static_cast<std::size_t>(dtype)](args);
    });
  }
  count_bytes(state, static_cast<double>(cache.bytes()), pool.n_threads());
}

const bool kAdded = [] {
  for (const Isa isa : kAllIsas) {
    if (!is_supported(isa)) continue;
    for (const DType dtype : kCacheDTypes) {
      const std::string name = std::string(name_of(isa)) + "/" + std::string(name_of(dtype));
      benchmark::RegisterBenchmark(("attend_prompt/" + name).c_str(), prompt, isa, dtype)
          ->ArgName("after")
          ->Arg(0)
          ->Arg(4096)
          ->Unit(benchmark::kMillisecond);
      benchmark::RegisterBenchmark(("attend_token/" + name).c_str(), one_token, isa, dtype)
          ->ArgName("threads")
          ->Arg(1)
          ->Arg(2)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  return true;
}();

}  // namespace
}  // namespace mixtral::bench

#include "roof.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>

#include <benchmark/benchmark.h>

#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/table.hpp"

namespace mixtral::bench {
namespace {

template <class F>
double best_seconds(int repetitions, F f) {
  double best = 1e9;
  for (int i = 0; i < repetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    best = std::min(best, taken.count());
  }
  return best;
}

double measure_read() {
  AlignedBuffer<std::uint64_t> memory(std::size_t{1} << 26);  // 512 MB: beyond any cache
  std::fill_n(memory.data(), memory.size(), 1);
  const double seconds = best_seconds(3, [&] {
    std::uint64_t sums[8] = {};
    for (std::size_t i = 0; i < memory.size(); i += 8) {
      __builtin_prefetch(memory.data() + i + 256);
      for (std::size_t j = 0; j < 8; ++j) sums[j] += memory.data()[i + j];
    }
    benchmark::DoNotOptimize(sums);
  });
  return static_cast<double>(memory.bytes()) / seconds;
}

double measure_product(Isa isa) {
  constexpr std::size_t kRows = 32, kTokens = 6, kDepth = 512, kCalls = 2000;
  const KernelTable& kernels = kernel_table(isa);
  const bool bf16 = kernels.gemm_bf16 != nullptr;
  const std::size_t element = bf16 ? 2 : 4;
  AlignedBuffer<std::byte> weights(kRows * kDepth * 4), activations(kTokens * kDepth * 4);
  std::fill_n(weights.data(), weights.size(), std::byte{0});
  std::fill_n(activations.data(), activations.size(), std::byte{0});
  AlignedBuffer<float> out(kRows * kTokens);
  const GemmArgs args{weights.data(), kDepth * element, activations.data(), kDepth * element, nullptr,
                      out.data(),     kRows,            kRows,              kTokens,          kDepth};
  const double seconds = best_seconds(5, [&] {
    for (std::size_t i = 0; i < kCalls; ++i) (bf16 ? kernels.gemm_bf16 : kernels.gemm_f32[0])(args);
    benchmark::DoNotOptimize(out.data());
  });
  return 2.0 * kRows * kTokens * kDepth * kCalls / seconds;
}

}  // namespace

double read_roof() {
  static const double roof = measure_read();
  return roof;
}

double cached_product(Isa isa) {
  static std::map<Isa, double> roofs;
  const auto [entry, fresh] = roofs.try_emplace(isa, 0.0);
  if (fresh) entry->second = measure_product(isa);
  return entry->second;
}

}  // namespace mixtral::bench

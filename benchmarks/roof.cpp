#include "roof.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include <benchmark/benchmark.h>

#include "mixtral/core/executor.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/table.hpp"
#include "roofs.hpp"

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
  SerialExecutor one_thread;
  return cli::ReadRoof().measure(one_thread);
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

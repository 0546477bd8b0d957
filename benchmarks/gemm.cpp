// The matrix product at the shape of 8x22B's experts: weights [8192 of 16384, 6144], one thread.
#include <algorithm>
#include <cstdint>
#include <string>

#include <benchmark/benchmark.h>

#include "mixtral/core/isa.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/table.hpp"
#include "roof.hpp"

namespace mixtral::bench {
namespace {

constexpr std::size_t kRows = 8192, kDepth = 6144, kSliceRows = 80;

/// Weights of `dtype` times activations of f32, or of bf16 where `rounded`.
void product(benchmark::State& state, Isa isa, DType dtype, bool rounded) {
  const auto n_tokens = static_cast<std::size_t>(state.range(0));
  const KernelTable& kernels = kernel_table(isa);
  const KernelTable::Gemm gemm =
      rounded ? kernels.gemm_bf16 : kernels.gemm_f32[static_cast<std::size_t>(dtype)];
  const std::size_t x_bytes = rounded ? 2 : 4, w_bytes = size_of(dtype);
  // 96 to 192 MB of weights: read from memory once per iteration.
  AlignedBuffer<std::byte> weights(kRows * kDepth * w_bytes);
  AlignedBuffer<std::byte> activations(n_tokens * kDepth * x_bytes);
  AlignedBuffer<float> out(n_tokens * kRows);
  std::fill_n(weights.data(), weights.size(), std::byte{0x3c});
  std::fill_n(activations.data(), activations.size(), std::byte{0x3c});
  for (auto _ : state) {
    for (std::size_t row = 0; row < kRows; row += kSliceRows) {
      gemm({weights.data() + row * kDepth * w_bytes, kDepth * w_bytes, activations.data(),
            kDepth * x_bytes, nullptr, out.data() + row, kRows, std::min(kSliceRows, kRows - row),
            n_tokens, kDepth});
    }
    benchmark::DoNotOptimize(out.data());
  }
  const auto arithmetic = rounded ? roofs::Arithmetic::bf16 : roofs::Arithmetic::f32;
  count_operations(state, 2.0 * kRows * kDepth * static_cast<double>(n_tokens), isa, arithmetic);
  count_bytes(state, static_cast<double>(weights.bytes()));
}

void add(Isa isa, DType dtype, bool rounded) {
  const std::string name = "product/" + std::string(name_of(isa)) + "/" +
                           std::string(name_of(dtype)) + (rounded ? "_by_bf16" : "_by_f32");
  benchmark::RegisterBenchmark(name.c_str(), product, isa, dtype, rounded)
      ->Arg(1)
      ->Arg(16)
      ->Arg(128)
      ->Unit(benchmark::kMillisecond);
}

const bool kAdded = [] {
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa > detect_isa()) break;
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) add(isa, dtype, false);
    if (kernel_table(isa).gemm_bf16 != nullptr) add(isa, DType::bf16, true);
  }
  return true;
}();

}  // namespace
}  // namespace mixtral::bench

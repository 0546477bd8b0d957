// RMSNorm of one token of 8x22B, one thread.
#include <algorithm>
#include <string>

#include <benchmark/benchmark.h>

#include "mixtral/core/isa.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/table.hpp"

namespace mixtral::bench {
namespace {

void rms_norm(benchmark::State& state, Isa isa) {
  constexpr std::size_t kHidden = 6144;
  AlignedBuffer<float> x(kHidden), gain(kHidden), out(kHidden);
  std::fill_n(x.data(), kHidden, 0.5f);
  std::fill_n(gain.data(), kHidden, 1.0f);
  for (auto _ : state) {
    kernel_table(isa).rms_norm(x.data(), gain.data(), 1e-5f, kHidden, out.data());
    benchmark::DoNotOptimize(out.data());
  }
}

const bool kAdded = [] {
  for (const Isa isa : kAllIsas) {
    if (!is_supported(isa)) continue;
    benchmark::RegisterBenchmark(("rms_norm/" + std::string(name_of(isa))).c_str(), rms_norm, isa);
  }
  return true;
}();

}  // namespace
}  // namespace mixtral::bench

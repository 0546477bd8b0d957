// Attention of one token over a long cache, and RMSNorm, at 8x22B's shape, one thread.
#include <algorithm>
#include <string>

#include <benchmark/benchmark.h>

#include "mixtral/core/isa.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/table.hpp"
#include "roof.hpp"

namespace mixtral::bench {
namespace {

/// The 6 query heads of one kv head over `range(0)` positions of an f16 cache.
void attend(benchmark::State& state, Isa isa) {
  constexpr std::size_t kGroup = 6, kHeadDim = 128;
  const auto n = static_cast<std::size_t>(state.range(0));
  AlignedBuffer<F16> keys(n * kHeadDim), values(n * kHeadDim);
  AlignedBuffer<float> query(kGroup * kHeadDim), memory(kGroup * (kHeadDim + 2));
  std::fill_n(keys.data(), keys.size(), to_f16(0.25f));
  std::fill_n(values.data(), values.size(), to_f16(0.5f));
  std::fill_n(query.data(), query.size(), 0.125f);
  const AttendArgs args{
      query.data(),
      reinterpret_cast<const std::byte*>(keys.data()),
      reinterpret_cast<const std::byte*>(values.data()),
      kGroup,
      kHeadDim,
      0,
      n,
      {memory.data(), memory.data() + kGroup, memory.data() + 2 * kGroup}};
  for (auto _ : state) {
    kernel_table(isa).attend[static_cast<std::size_t>(DType::f16)](args);
    benchmark::DoNotOptimize(memory.data());
  }
  count_bytes(state, static_cast<double>(keys.bytes() + values.bytes()));
}

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
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa > detect_isa()) break;
    const std::string name(name_of(isa));
    benchmark::RegisterBenchmark(("attend/" + name).c_str(), attend, isa)->Arg(512)->Arg(65536);
    benchmark::RegisterBenchmark(("rms_norm/" + name).c_str(), rms_norm, isa);
  }
  return true;
}();

}  // namespace
}  // namespace mixtral::bench

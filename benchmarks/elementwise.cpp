// What passes over the activations of one token of 8x22B, one thread. They are in the caches, as between two
// layers, so that the rates may well be above the read roof.
#include <algorithm>
#include <string>

#include <benchmark/benchmark.h>

#include "mixtral/core/isa.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/table.hpp"
#include "mixtral/quant/activations.hpp"
#include "roof.hpp"

namespace mixtral::bench {
namespace {

constexpr std::size_t kHidden = 6144, kFfn = 16384, kHeadDim = 128, kGroup = 6;

/// `n` elements of one value. Those that are worked on in place are chosen so that they stay as they are.
AlignedBuffer<float> filled(std::size_t n, float value) {
  AlignedBuffer<float> buffer(n);
  std::fill_n(buffer.data(), n, value);
  return buffer;
}

/// Calls kernel() over and over; each call reads and writes `floats` elements in f32 and `bytes` of another type.
template <class Kernel>
void repeat(benchmark::State& state, std::size_t floats, std::size_t bytes, Kernel kernel) {
  for (auto _ : state) {
    kernel();
    benchmark::ClobberMemory();
  }
  count_bytes(state, static_cast<double>(floats * sizeof(float) + bytes));
}

void rms_norm(benchmark::State& state, const KernelTable& table) {
  const auto x = filled(kHidden, 0.5f), gain = filled(kHidden, 1.0f);
  auto out = filled(kHidden, 0.0f);
  repeat(state, 3 * kHidden, 0, [&] { table.rms_norm(x.data(), gain.data(), 1e-5f, kHidden, out.data()); });
}

void rope(benchmark::State& state, const KernelTable& table) {
  constexpr std::size_t kHalf = kHeadDim / 2;
  const auto cos = filled(kHalf, 1.0f), sin = filled(kHalf, 0.0f);
  auto heads = filled(kHidden, 0.5f);
  repeat(state, 2 * kHidden, 0, [&] {
    for (std::size_t i = 0; i < kHidden; i += kHeadDim) table.rope(heads.data() + i, cos.data(), sin.data(), kHalf);
  });
}

void swiglu(benchmark::State& state, const KernelTable& table) {
  auto gate = filled(kFfn, 50.0f);  // silu(50) = 50
  const auto up = filled(kFfn, 1.0f);
  repeat(state, 3 * kFfn, 0, [&] { table.swiglu(gate.data(), up.data(), kFfn); });
}

void add_scaled(benchmark::State& state, const KernelTable& table) {
  const auto x = filled(kHidden, 0.5f);
  auto y = filled(kHidden, 0.5f);
  repeat(state, 3 * kHidden, 0, [&] { table.add_scaled(0.0f, x.data(), kHidden, y.data()); });
}

void multiply(benchmark::State& state, const KernelTable& table) {
  auto x = filled(kHidden, 0.5f);
  repeat(state, 2 * kHidden, 0, [&] { table.multiply(1.0f, kHidden, x.data()); });
}

/// Rounds a token's activations to blocks of type Block.
template <class Block, KernelTable::Blocks KernelTable::*kToBlocks>
void to_blocks(benchmark::State& state, const KernelTable& table) {
  const auto x = filled(kHidden, 0.5f);
  AlignedBuffer<Block> blocks(kHidden / Block::kElements);
  auto* const out = reinterpret_cast<std::byte*>(blocks.data());
  repeat(state, kHidden, blocks.bytes(), [&] { (table.*kToBlocks)(x.data(), kHidden, out, sizeof(Block)); });
}

void narrow(benchmark::State& state, const KernelTable& table) {
  const auto x = filled(kHidden, 0.5f);
  AlignedBuffer<std::byte> out(bytes_of(DType::f16, kHidden));
  repeat(state, kHidden, out.bytes(),
         [&] { table.narrow[static_cast<std::size_t>(DType::f16)](x.data(), kHidden, out.data()); });
}

void widen(benchmark::State& state, const KernelTable& table) {
  AlignedBuffer<std::byte> x(bytes_of(DType::f16, kHidden));
  std::fill_n(x.data(), x.size(), std::byte{0x3c});
  auto out = filled(kHidden, 0.0f);
  repeat(state, kHidden, x.bytes(),
         [&] { table.widen[static_cast<std::size_t>(DType::f16)](x.data(), kHidden, out.data()); });
}

void merge(benchmark::State& state, const KernelTable& table) {
  auto later_max = filled(kGroup, -50.0f), max = filled(kGroup, 0.0f);  // what e^-50 is added to stays as it is
  auto later_sum = filled(kGroup, 1.0f), sum = filled(kGroup, 1.0f);
  auto later_values = filled(kGroup * kHeadDim, 0.5f), values = filled(kGroup * kHeadDim, 0.5f);
  const AttentionState later{later_max.data(), later_sum.data(), later_values.data()};
  const AttentionState into{max.data(), sum.data(), values.data()};
  repeat(state, 3 * kGroup * (kHeadDim + 2), 0, [&] { table.merge(later, kGroup, kHeadDim, into); });
}

struct Kernel {
  const char* name;
  void (*run)(benchmark::State& state, const KernelTable& table);
};

constexpr Kernel kKernels[] = {
    {"rms_norm", rms_norm},
    {"rope", rope},
    {"swiglu", swiglu},
    {"add_scaled", add_scaled},
    {"multiply", multiply},
    {"narrow_f16", narrow},
    {"widen_f16", widen},
    {"merge", merge},
    {"to_q8_blocks", to_blocks<quant::Q8Activations, &KernelTable::to_q8_blocks>},
    {"to_q16_blocks", to_blocks<quant::Q16Activations, &KernelTable::to_q16_blocks>},
    {"to_bf16_blocks", to_blocks<quant::BF16Activations, &KernelTable::to_bf16_blocks>},
};

const bool kAdded = [] {
  for (const Kernel& kernel : kKernels) {
    for (const Isa isa : kAllIsas) {
      if (!is_supported(isa)) continue;
      benchmark::RegisterBenchmark((kernel.name + ("/" + std::string(name_of(isa)))).c_str(),
                                   [&kernel, isa](benchmark::State& state) { kernel.run(state, kernel_table(isa)); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace mixtral::bench

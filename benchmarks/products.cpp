// Matrix products at the shape of 8x22B's experts: weights [16384, 6144], one thread.
#include <algorithm>
#include <string>

#include <benchmark/benchmark.h>

#include "mixtral/core/isa.hpp"
#include "mixtral/layers/linear.hpp"
#include "roof.hpp"

namespace mixtral::bench {
namespace {

constexpr std::size_t kRows = 16384, kDepth = 6144;

/// How weights and activations are stored.
struct Operands {
  DType dtype;
  Layout layout;
  ActivationForm activations;
};

roofs::Arithmetic arithmetic_of(ActivationForm activations) {
  switch (activations) {
    case ActivationForm::q8_blocks:
    case ActivationForm::q16_blocks:
      return roofs::Arithmetic::int8;
    case ActivationForm::bf16:
    case ActivationForm::bf16_blocks:
      return roofs::Arithmetic::bf16;
    case ActivationForm::f32:
    case ActivationForm::f32_blocks:
      break;
  }
  return roofs::Arithmetic::f32;
}

void product(benchmark::State& state, Isa isa, Operands operands) {
  const auto n_tokens = static_cast<std::size_t>(state.range(0));
  WeightView shape{nullptr, operands.dtype, kRows, kDepth, operands.layout};
  // 33 to 403 MB of weights, more than most caches hold: read from memory once per iteration.
  AlignedBuffer<std::byte> weights(shape.bytes());
  std::fill_n(weights.data(), weights.size(), std::byte{0x3c});  // small numbers in every format
  shape.data = weights.data();
  ActivationBuffer buffer(n_tokens, kDepth);
  const ActivationView activations = buffer.view(operands.activations, n_tokens, kDepth);
  std::fill_n(activations.data, buffer.bytes(), std::byte{0x3c});
  AlignedBuffer<float> out(n_tokens * kRows);

  SerialExecutor one_thread;
  const Compute compute{kernel_table(isa), one_thread};
  for (auto _ : state) {
    Linear(shape).forward(activations, compute, {out.data(), n_tokens, kRows});
    benchmark::DoNotOptimize(out.data());
  }
  count_operations(state, 2.0 * kRows * kDepth * static_cast<double>(n_tokens), isa,
                   arithmetic_of(operands.activations));
  count_bytes(state, static_cast<double>(weights.bytes()));
}

std::string name_of(ActivationForm activations) {
  if (activations == ActivationForm::q8_blocks) return "q8";
  if (activations == ActivationForm::q16_blocks) return "q16";
  return arithmetic_of(activations) == roofs::Arithmetic::f32 ? "f32" : "bf16";
}

void add(Isa isa, DType dtype, Layout layout) {
  SerialExecutor one_thread;
  const auto add_with = [&](bool rounded) {
    const Compute compute{kernel_table(isa), one_thread, nullptr, rounded};
    const WeightView weight{nullptr, dtype, kRows, kDepth, layout};
    const ActivationForm activations = compute.activation_form({&weight, 1});
    if (rounded && arithmetic_of(activations) == roofs::Arithmetic::f32) return;
    const std::string name = "product/" + std::string(name_of(isa)) + "/" +
                             std::string(name_of(dtype)) +
                             (layout == Layout::tiled ? "_tiled_by_" : "_by_") +
                             name_of(activations);
    benchmark::RegisterBenchmark(name.c_str(), product, isa, Operands{dtype, layout, activations})
        ->Arg(1)
        ->Arg(16)
        ->Arg(128)
        ->Unit(benchmark::kMillisecond);
  };
  add_with(false);
  add_with(true);
}

const bool kAdded = [] {
  for (const Isa isa : kAllIsas) {
    if (!is_supported(isa)) continue;
    for (std::size_t i = 0; i < kDTypeCount; ++i) {
      const auto dtype = static_cast<DType>(i);
      add(isa, dtype, Layout::row_major);
      if (kernel_table(isa).tiled_f32[i] != nullptr) add(isa, dtype, Layout::tiled);
    }
  }
  return true;
}();

}  // namespace
}  // namespace mixtral::bench

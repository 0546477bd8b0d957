// Fills a kernel table from the templates for one instruction set.
#pragma once

#include "mixtral/kernels/attention.hpp"
#include "mixtral/kernels/elementwise.hpp"
#include "mixtral/kernels/gemm.hpp"
#include "mixtral/kernels/rms_norm.hpp"
#include "mixtral/kernels/table.hpp"

namespace mixtral::kernels {

template <class Arch>
constexpr KernelTable::Gemm bf16_gemm_or_null() noexcept {
  if constexpr (simd::kHasBf16Dot<Arch>) {
    return &gemm<Arch, BF16, BF16>;
  } else {
    return nullptr;
  }
}

/// The kernels of Arch. Programs that use the layers without linking the library make their own
/// table this way, for simd::Native.
template <class Arch>
constexpr KernelTable make_table() noexcept {
  return {
      .isa = Arch::kIsa,
      .gemm_f32 = {&gemm<Arch, float, float>, &gemm<Arch, F16, float>, &gemm<Arch, BF16, float>},
      .gemm_bf16 = bf16_gemm_or_null<Arch>(),
      .rms_norm = &rms_norm<Arch>,
      .rope = &rope<Arch>,
      .swiglu = &swiglu<Arch>,
      .add_scaled = &add_scaled<Arch>,
      .multiply = &multiply<Arch>,
      .attend = {&attend<Arch, float>, &attend<Arch, F16>, &attend<Arch, BF16>},
      .merge = &merge<Arch>,
      .narrow = {&narrow<Arch, float>, &narrow<Arch, F16>, &narrow<Arch, BF16>},
      .widen = {&widen<Arch, float>, &widen<Arch, F16>, &widen<Arch, BF16>},
  };
}

}  // namespace mixtral::kernels

// Fills a kernel table from the templates for one instruction set.
#pragma once

#include "mixtral/kernels/attention.hpp"
#include "mixtral/kernels/elementwise.hpp"
#include "mixtral/kernels/gemm.hpp"
#include "mixtral/kernels/gemm_q16.hpp"
#include "mixtral/kernels/quantise_activations.hpp"
#include "mixtral/kernels/quantise_rows.hpp"
#include "mixtral/kernels/rms_norm.hpp"
#include "mixtral/kernels/row_gemm.hpp"
#include "mixtral/kernels/table.hpp"
#include "mixtral/kernels/tiled_gemm_bf16.hpp"
#include "mixtral/kernels/tiled_gemm_f32.hpp"
#include "mixtral/kernels/tiled_gemm_q8.hpp"
#include "mixtral/quant/formats.hpp"

namespace mixtral::kernels {

template <class Arch>
constexpr KernelTable::Gemm bf16_gemm_or_null() noexcept {
  if constexpr (simd::kHasBf16Dot<Arch>) {
    return &gemm<Arch, BF16, BF16>;
  } else {
    return nullptr;
  }
}

template <class Arch>
constexpr KernelTable::Gemm tiled_bf16_or_null() noexcept {
  if constexpr (simd::kHasBf16Dot<Arch>) {
    return &tiled_gemm_bf16<Arch>;
  } else {
    return nullptr;
  }
}

/// Ternary weights want activations in 16 bits: their few levels leave errors of 8 bits that are over the bound of 1 %
/// on the goldens' logits (1.35 %).
constexpr bool is_ternary(DType dtype) noexcept { return dtype == DType::tq1_0 || dtype == DType::tq2_0; }

template <class Arch, class Format>
constexpr void add_format(KernelTable& table) noexcept {
  constexpr auto kIndex = static_cast<std::size_t>(Format::kDType);
  table.tiled_f32[kIndex] = &tiled_gemm_f32<Arch, Format>;
  table.row_f32[kIndex] = &row_gemm_f32<Arch, Format>;
  if constexpr (is_ternary(Format::kDType)) {
    table.tiled_q16[kIndex] = &tiled_gemm_q16<Arch, Format>;
    table.row_q16[kIndex] = &row_gemm_q16<Arch, Format>;
  } else {
    table.tiled_q8[kIndex] = &tiled_gemm_q8<Arch, Format>;
    table.row_q8[kIndex] = &row_gemm_q8<Arch, Format>;
  }
}

template <class Arch, class... Formats>
constexpr void add_quantised(quant::FormatList<Formats...>, KernelTable& table) noexcept {
  (add_format<Arch, Formats>(table), ...);
}

/// The kernels of Arch. Programs that use the layers without linking the library make their own
/// table this way, for simd::Native.
template <class Arch>
constexpr KernelTable make_table() noexcept {
  KernelTable table = {
      .isa = Arch::kIsa,
      .gemm_f32 = {&gemm<Arch, float, float>, &gemm<Arch, F16, float>, &gemm<Arch, BF16, float>},
      .gemm_bf16 = bf16_gemm_or_null<Arch>(),
      .tiled_bf16 = tiled_bf16_or_null<Arch>(),
      .to_q8_blocks = &quantise_activations<Arch, quant::Q8Activations>,
      .to_q16_blocks = &quantise_activations<Arch, quant::Q16Activations>,
      .to_bf16_blocks = &round_activations<Arch>,
      .rms_norm = &rms_norm<Arch>,
      .rope = &rope<Arch>,
      .swiglu = &swiglu<Arch>,
      .add_scaled = &add_scaled<Arch>,
      .multiply = &multiply<Arch>,
      .attend = {&attend<Arch, float>, &attend<Arch, F16>, &attend<Arch, BF16>,
                 &attend<Arch, quant::Q8_0>},
      .merge = &merge<Arch>,
      .narrow = {&narrow<Arch, float>, &narrow<Arch, F16>, &narrow<Arch, BF16>, &quantise_row<Arch>},
      .widen = {&widen<Arch, float>, &widen<Arch, F16>, &widen<Arch, BF16>},
  };
  table.tiled_f32[static_cast<std::size_t>(DType::bf16)] = &tiled_gemm_f32<Arch, quant::BF16Pairs>;
  add_quantised<Arch>(quant::AllFormats{}, table);
  return table;
}

}  // namespace mixtral::kernels

// Instruction sets that the kernels are built for, and which of them this CPU runs.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace mixtral {

enum class Isa {
  baseline,  ///< x86-64 (SSE2), or whatever the compiler targets on another architecture
  avx2,      ///< AVX2, FMA, F16C
  avx512,    ///< AVX-512 F/BW/DQ/VL, VNNI, BF16
  avx2_vnni, ///< avx2 and AVX-VNNI: dot products of bytes in 256 bits
};

/// "baseline", "avx2", "avx2_vnni" or "avx512".
std::string_view name_of(Isa isa) noexcept;

/// From the slowest to the fastest.
inline constexpr std::array kAllIsas = {Isa::baseline, Isa::avx2, Isa::avx2_vnni, Isa::avx512};

/// Whether the CPU has `isa`, and the operating system saves its registers.
bool is_supported(Isa isa) noexcept;

/// The fastest one that is supported.
Isa detect_isa() noexcept;

/// The one that MIXTRAL_ISA names, else the detected one. Throws Error(unsupported) when the
/// variable holds an unknown name or one that this machine can't run.
Isa select_isa(std::optional<Isa> requested = {});

}  // namespace mixtral

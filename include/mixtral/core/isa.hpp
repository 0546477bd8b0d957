// Instruction sets that the kernels are built for, and which of them this CPU runs.
#pragma once

#include <optional>
#include <string_view>

namespace mixtral {

/// Ordered: a CPU that supports one supports those before it.
enum class Isa {
  baseline,  ///< x86-64 (SSE2), or whatever the compiler targets on another architecture
  avx2,      ///< AVX2, FMA, F16C
  avx512,    ///< AVX-512 F/BW/DQ/VL, VNNI, BF16
};

/// "baseline", "avx2" or "avx512".
std::string_view name_of(Isa isa) noexcept;

/// The best instruction set that the CPU has and whose registers the operating system saves.
Isa detect_isa() noexcept;

/// The one that MIXTRAL_ISA names, else the detected one. Throws Error(unsupported) when the
/// variable holds an unknown name or one that this machine can't run.
Isa select_isa(std::optional<Isa> requested = {});

}  // namespace mixtral

// Which library multiplies matrices.
#pragma once

#include <memory>
#include <optional>

#include "mixtral/kernels/gemm_backend.hpp"

namespace mixtral::detail {

/// The kind asked for, else MIXTRAL_GEMM's, else native. Throws Error(unsupported) for an unknown
/// name or a library that this build lacks.
GemmKind select_gemm(std::optional<GemmKind> requested);

/// The back end of `kind`; null for native. `kernels` widen weights for libraries that need f32.
std::unique_ptr<GemmBackend> make_gemm(GemmKind kind, const KernelTable& kernels);

}  // namespace mixtral::detail

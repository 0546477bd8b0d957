// Makers of the optional GEMM back ends. Each is compiled only when its library was found.
#pragma once

#include <memory>

#include "mixtral/kernels/gemm_backend.hpp"

namespace mixtral::detail {

std::unique_ptr<GemmBackend> make_onednn_gemm(const KernelTable& kernels);
std::unique_ptr<GemmBackend> make_openblas_gemm(const KernelTable& kernels);
std::unique_ptr<GemmBackend> make_eigen_gemm(const KernelTable& kernels);

}  // namespace mixtral::detail

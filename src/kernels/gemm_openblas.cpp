#include <cblas.h>

#include <limits>
#include <string>

#include "kernels/gemm_convert.hpp"
#include "kernels/gemm_libraries.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

blasint blas_size(std::size_t n) {
  if (n > static_cast<std::size_t>(std::numeric_limits<blasint>::max())) {
    throw Error(ErrorCode::unsupported, "OpenBLAS can't take a dimension of " + std::to_string(n));
  }
  return static_cast<blasint>(n);
}

/// OpenBLAS's sgemm. Choosing it sets OpenBLAS to one thread in the whole process: the executor
/// shares the work out, and OpenBLAS offers no setting per thread.
class OpenBlasGemm final : public GemmBackend {
 public:
  explicit OpenBlasGemm(const KernelTable& kernels) : kernels_(kernels) {
    openblas_set_num_threads(1);
  }

  std::size_t tile_rows() const noexcept override { return 256; }
  std::size_t min_tokens() const noexcept override { return 8; }

  void multiply(const GemmArgs& args, DType weights, DType activations) const override {
    const AlignedBuffer<float> w = widen_weights(args, weights, kernels_);
    const AlignedBuffer<float> x = gather_activations(args, activations, kernels_);
    const blasint depth = blas_size(args.depth);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(args.n_tokens),
                blas_size(args.n_rows), depth, 1.0f, x.data(), depth, w.data(), depth, 0.0f,
                args.out, blas_size(args.out_stride));
  }

 private:
  const KernelTable& kernels_;
};

}  // namespace

std::unique_ptr<GemmBackend> make_openblas_gemm(const KernelTable& kernels) {
  return std::make_unique<OpenBlasGemm>(kernels);
}

}  // namespace mixtral::detail

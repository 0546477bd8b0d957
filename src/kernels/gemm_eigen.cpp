#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>

#include "kernels/gemm_convert.hpp"
#include "kernels/gemm_libraries.hpp"

namespace mixtral::detail {
namespace {

/// Eigen's product, for whatever architecture the compiler targets.
class EigenGemm final : public GemmBackend {
 public:
  explicit EigenGemm(const KernelTable& kernels) : kernels_(kernels) {}

  std::size_t tile_rows() const noexcept override { return 256; }
  std::size_t min_tokens() const noexcept override { return 8; }

  void multiply(const GemmArgs& args, DType weights, DType activations) const override {
    using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const AlignedBuffer<float> w = widen_weights(args, weights, kernels_);
    const AlignedBuffer<float> x = gather_activations(args, activations, kernels_);
    const auto index = [](std::size_t n) { return static_cast<Eigen::Index>(n); };
    const Eigen::Map<const Matrix> wide_w(w.data(), index(args.n_rows), index(args.depth));
    const Eigen::Map<const Matrix> wide_x(x.data(), index(args.n_tokens), index(args.depth));
    Eigen::Map<Matrix, 0, Eigen::OuterStride<>> out(args.out, index(args.n_tokens),
                                                    index(args.n_rows),
                                                    Eigen::OuterStride<>(index(args.out_stride)));
    out.noalias() = wide_x * wide_w.transpose();
  }

 private:
  const KernelTable& kernels_;
};

}  // namespace

std::unique_ptr<GemmBackend> make_eigen_gemm(const KernelTable& kernels) {
  return std::make_unique<EigenGemm>(kernels);
}

}  // namespace mixtral::detail

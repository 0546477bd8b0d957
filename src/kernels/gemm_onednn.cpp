#include <cstring>
#include <string>
#include <unordered_map>

#include <oneapi/dnnl/dnnl.hpp>

#include "kernels/gemm_convert.hpp"
#include "kernels/gemm_libraries.hpp"
#include "mixtral/core/error.hpp"

// From the OpenMP API, on which Debian's oneDNN runs; <omp.h> belongs to the compiler instead.
extern "C" {
int omp_get_max_threads();
void omp_set_num_threads(int n_threads);
}

namespace mixtral::detail {
namespace {

using dnnl::memory;

/// Keeps the OpenMP regions that this thread starts on this thread: the executor shares the work
/// out. The setting belongs to the thread and is put back.
class SingleThreadedOpenMp {
 public:
  SingleThreadedOpenMp() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~SingleThreadedOpenMp() { omp_set_num_threads(before_); }
  SingleThreadedOpenMp(const SingleThreadedOpenMp&) = delete;
  SingleThreadedOpenMp& operator=(const SingleThreadedOpenMp&) = delete;

 private:
  int before_;
};

memory::dim dim(std::size_t n) noexcept { return static_cast<memory::dim>(n); }

/// oneDNN's matmul: bf16 by bf16 where both operands are, otherwise f32.
class OneDnnGemm final : public GemmBackend {
 public:
  explicit OneDnnGemm(const KernelTable& kernels)
      : kernels_(kernels), engine_(dnnl::engine::kind::cpu, 0) {}

  std::size_t tile_rows() const noexcept override { return 256; }
  std::size_t min_tokens() const noexcept override { return 8; }

  void multiply(const GemmArgs& args, DType weights, DType activations) const override {
    try {
      if (activations == DType::bf16) {
        multiply_bf16(args);
      } else {
        multiply_f32(args, weights);
      }
    } catch (const dnnl::error& error) {
      throw Error(ErrorCode::internal, std::string("oneDNN: ") + error.what());
    }
  }

 private:
  void multiply_bf16(const GemmArgs& args) const {
    AlignedBuffer<BF16> x(args.n_tokens * args.depth);
    for (std::size_t t = 0; t < args.n_tokens; ++t) {
      std::memcpy(x.data() + t * args.depth, activation_row(args, t), args.depth * sizeof(BF16));
    }
    run(args, memory::data_type::bf16, x.data(), args.weights);
  }

  void multiply_f32(const GemmArgs& args, DType weights) const {
    const AlignedBuffer<float> w = widen_weights(args, weights, kernels_);
    const AlignedBuffer<float> x = gather_activations(args, DType::f32, kernels_);
    run(args, memory::data_type::f32, x.data(), w.data());
  }

  /// x [n_tokens, depth] and w [n_rows, depth], both contiguous and of `type`.
  void run(const GemmArgs& args, memory::data_type type, const void* x, const void* w) const {
    const memory::dim m = dim(args.n_tokens), n = dim(args.n_rows), k = dim(args.depth);
    const memory::desc x_desc({m, k}, type, memory::dims{k, 1});
    const memory::desc w_desc({k, n}, type, memory::dims{1, k});
    const memory::desc out_desc({m, n}, memory::data_type::f32,
                                memory::dims{dim(args.out_stride), 1});
    const SingleThreadedOpenMp single_threaded;
    const dnnl::matmul::desc operation(x_desc, w_desc, out_desc);
    const dnnl::matmul product(dnnl::matmul::primitive_desc(operation, engine_));
    dnnl::stream stream(engine_);
    product.execute(stream, {{DNNL_ARG_SRC, memory(x_desc, engine_, const_cast<void*>(x))},
                             {DNNL_ARG_WEIGHTS, memory(w_desc, engine_, const_cast<void*>(w))},
                             {DNNL_ARG_DST, memory(out_desc, engine_, args.out)}});
    stream.wait();
  }

  const KernelTable& kernels_;
  dnnl::engine engine_;
};

}  // namespace

std::unique_ptr<GemmBackend> make_onednn_gemm(const KernelTable& kernels) {
  return std::make_unique<OneDnnGemm>(kernels);
}

}  // namespace mixtral::detail

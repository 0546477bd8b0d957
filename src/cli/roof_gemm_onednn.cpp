#include <chrono>
#include <oneapi/dnnl/dnnl.hpp>

#include "roofs.hpp"

// From the OpenMP API, on which Debian's oneDNN runs.
extern "C" void omp_set_num_threads(int n_threads);

namespace mixtral::cli {
namespace {

using dnnl::memory;

memory::dim dim(std::size_t n) noexcept { return static_cast<memory::dim>(n); }

class OneDnnRoof final : public GemmRoof {
 public:
  OneDnnRoof(const GemmShape& shape, DType dtype, std::size_t n_threads)
      : operations_(2.0 * static_cast<double>(shape.n_tokens * shape.n_rows * shape.depth)),
        n_threads_(static_cast<int>(n_threads)),
        engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_) {
    omp_set_num_threads(n_threads_);
    const memory::data_type type =
        dtype == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
    const memory::dims x_dims = {dim(shape.n_tokens), dim(shape.depth)};
    const memory::dims w_dims = {dim(shape.depth), dim(shape.n_rows)};
    const memory::dims out_dims = {dim(shape.n_tokens), dim(shape.n_rows)};
    const dnnl::matmul::primitive_desc description(
        dnnl::matmul::desc({x_dims, type, memory::format_tag::ab},
                           {w_dims, type, memory::format_tag::any},
                           {out_dims, memory::data_type::f32, memory::format_tag::ab}),
        engine_);
    product_ = dnnl::matmul(description);
    x_ = filled(description.src_desc());
    weights_ = filled(description.weights_desc());
    out_ = memory(description.dst_desc(), engine_);
    multiply();
  }

  double measure() override {
    using Clock = std::chrono::steady_clock;
    omp_set_num_threads(n_threads_);
    const Clock::time_point start = Clock::now();
    std::size_t n_products = 0;
    std::chrono::duration<double> elapsed = {};
    while (elapsed < std::chrono::milliseconds(200)) {
      multiply();
      ++n_products;
      elapsed = Clock::now() - start;
    }
    return operations_ * static_cast<double>(n_products) / elapsed.count();
  }

 private:
  /// Every element is the same small normal number, whatever the packed layout: 0x3f3f repeated is
  /// about 0.75 in f32 and in bf16.
  memory filled(const memory::desc& desc) const {
    memory result(desc, engine_);
    auto* bytes = static_cast<unsigned char*>(result.get_data_handle());
    std::fill_n(bytes, desc.get_size(), static_cast<unsigned char>(0x3f));
    return result;
  }

  void multiply() {
    product_.execute(stream_,
                     {{DNNL_ARG_SRC, x_}, {DNNL_ARG_WEIGHTS, weights_}, {DNNL_ARG_DST, out_}});
    stream_.wait();
  }

  double operations_;
  int n_threads_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul product_;
  memory x_, weights_, out_;
};

}  // namespace

std::unique_ptr<GemmRoof> make_gemm_roof(const GemmShape& shape, DType dtype,
                                         std::size_t n_threads) {
  try {
    return std::make_unique<OneDnnRoof>(shape, dtype, n_threads);
  } catch (const dnnl::error&) {
    return nullptr;  // no bf16 on this machine
  }
}

}  // namespace mixtral::cli

// Linear maps without bias, several at once in one parallel region.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mixtral/layers/compute.hpp"

namespace mixtral {

/// out = input * weight^T for the listed rows of the input.
struct LinearJob {
  WeightView weight;                           ///< [n_out, n_in]
  ActivationView input;                        ///< [.., n_in]
  std::span<const std::uint32_t> input_rows;   ///< [n_tokens]; empty: row t for token t
  MatrixView<float> out;                       ///< [n_tokens, n_out]
};

namespace detail {

/// The most bytes of weights that one task reads.
inline constexpr std::size_t kTaskBytes = 1024 * 1024;

/// Tasks per worker and product that share the work evenly even if one worker is held up.
inline constexpr std::size_t kTasksPerThread = 8;

inline bool uses_backend(const Compute& compute, const WeightView& weight,
                         std::size_t n_tokens) noexcept {
  return compute.gemm != nullptr && n_tokens >= compute.gemm->min_tokens() &&
         weight.layout == Layout::row_major && !is_quantised(weight.dtype);
}

/// The most weight rows that one task gets.
inline constexpr std::size_t kMaxTileRows = 256;

/// A task's rows come in multiples of what the rows' outputs fill, as activations of the next product.
inline constexpr std::size_t kTileRowsUnit = quant::Q8Activations::kElements;
static_assert(kTileRowsUnit % kTileRows == 0 &&
              kTileRowsUnit % quant::BF16Activations::kElements == 0 &&
              kMaxTileRows % kTileRowsUnit == 0);

/// Weight rows per task.
inline std::size_t tile_rows(const Compute& compute, const WeightView& weight,
                             std::size_t n_tokens) noexcept {
  if (uses_backend(compute, weight, n_tokens)) {
    return std::min(compute.gemm->tile_rows(), kMaxTileRows);
  }
  const std::size_t largest = kTaskBytes / std::max<std::size_t>(weight.row_bytes(), 1);
  const std::size_t fair = weight.rows / (kTasksPerThread * compute.executor.n_threads());
  return std::clamp<std::size_t>(std::min(largest, fair) / kTileRowsUnit * kTileRowsUnit,
                                 kTileRowsUnit, kMaxTileRows);
}

inline std::size_t n_tiles(const WeightView& weight, std::size_t rows) noexcept {
  return (weight.rows + rows - 1) / rows;
}

/// The native kernel for weights and activations that go together.
inline KernelTable::Gemm native_gemm(const KernelTable& kernels, const WeightView& weight,
                                     ActivationForm form) noexcept {
  const auto dtype = static_cast<std::size_t>(weight.dtype);
  const bool tiled = weight.layout == Layout::tiled;
  switch (form) {
    case ActivationForm::q8_blocks:
      return tiled ? kernels.tiled_q8[dtype] : kernels.row_q8[dtype];
    case ActivationForm::q16_blocks:
      return tiled ? kernels.tiled_q16[dtype] : kernels.row_q16[dtype];
    case ActivationForm::bf16_blocks:
      return kernels.tiled_bf16;
    case ActivationForm::bf16:
      return kernels.gemm_bf16;
    case ActivationForm::f32:
    case ActivationForm::f32_blocks:
      if (tiled) return kernels.tiled_f32[dtype];
      return is_quantised(weight.dtype) ? kernels.row_f32[dtype] : kernels.gemm_f32[dtype];
  }
  return nullptr;
}

/// Computes rows [first, first + count) of a job's outputs into `out`, whose column 0 is row `first`.
inline void multiply_rows(const LinearJob& job, std::size_t first, std::size_t count,
                          const Compute& compute, MatrixView<float> out) {
  const std::size_t unit = job.weight.layout == Layout::tiled ? kTileRows : 1;
  GemmArgs args{
      .weights = job.weight.row(first),
      .weight_stride = unit * job.weight.row_bytes(),
      .activations = job.input.data,
      .activation_stride = job.input.stride,
      .activation_rows = job.input_rows.empty() ? nullptr : job.input_rows.data(),
      .out = out.data,
      .out_stride = out.stride,
      .n_rows = count,
      .n_tokens = out.rows,
      .depth = job.weight.cols,
  };
  if (job.input.form == ActivationForm::f32_blocks) {
    args.activation_stride = sizeof(quant::F32Activations);
    args.activation_block_stride = job.input.stride;
  }
  if (uses_backend(compute, job.weight, args.n_tokens)) {
    const DType activations = job.input.form == ActivationForm::bf16 ? DType::bf16 : DType::f32;
    compute.gemm->multiply(args, job.weight.dtype, activations);
  } else {
    native_gemm(compute.kernels, job.weight, job.input.form)(args);
  }
}

/// Runs tile(job, first_row, n_rows, worker) for every tile of every job in one parallel region.
/// weight_of(job) and n_tokens_of(job) give the shape of a job's product.
template <class Job, class WeightOf, class TokensOf, class Tile>
void for_each_tile(std::span<const Job> jobs, const Compute& compute, WeightOf weight_of,
                   TokensOf n_tokens_of, Tile tile) {
  const auto rows_of = [&](const Job& job) {
    return tile_rows(compute, weight_of(job), n_tokens_of(job));
  };
  std::size_t total = 0;
  for (const Job& job : jobs) total += n_tiles(weight_of(job), rows_of(job));
  compute.executor.run(total, [&](std::size_t task, std::size_t worker) {
    const Job* job = jobs.data();
    for (;; ++job) {
      const std::size_t tiles = n_tiles(weight_of(*job), rows_of(*job));
      if (task < tiles) break;
      task -= tiles;
    }
    const std::size_t rows = rows_of(*job);
    const std::size_t first = task * rows;
    tile(*job, first, std::min(rows, weight_of(*job).rows - first), worker);
  });
}

}  // namespace detail

/// Computes all jobs in one parallel region.
inline void run_linear(std::span<const LinearJob> jobs, const Compute& compute) {
  detail::for_each_tile(
      jobs, compute, [](const LinearJob& job) { return job.weight; },
      [](const LinearJob& job) { return job.out.rows; },
      [&](const LinearJob& job, std::size_t first, std::size_t count, std::size_t) {
        MatrixView<float> out = job.out;
        out.data += first;
        detail::multiply_rows(job, first, count, compute, out);
      });
}

/// y = x W^T.
class Linear {
 public:
  explicit Linear(WeightView weight) : weight_(weight) {}

  const WeightView& weight() const noexcept { return weight_; }

  /// input [n_tokens, n_in] -> out [n_tokens, n_out].
  void forward(ActivationView input, const Compute& compute, MatrixView<float> out) const {
    const LinearJob job{weight_, input, {}, out};
    run_linear({&job, 1}, compute);
  }

 private:
  WeightView weight_;
};

}  // namespace mixtral

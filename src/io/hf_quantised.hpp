// The matrices of quantised Hugging Face checkpoints: AWQ, GPTQ and FP8.
#pragma once

#include <optional>
#include <string>

#include "io/file_checkpoint.hpp"
#include "io/hf_quantisation.hpp"
#include "io/model_tensors.hpp"
#include "io/tensor_table.hpp"

namespace mixtral::detail {

/// Takes the parts of a matrix that is called `name`, such as "x.weight", where it isn't quantised; nothing
/// when it is there under this name with plain weights. AWQ and GPTQ decode to f16, as their kernels compute
/// (to f32 when the scales aren't f16), FP8 to bf16. Throws Error naming the tensor when a part is
/// missing or has another shape or type than the configuration calls for.
std::optional<TensorSource> take_quantised(const HfQuantisation& quantisation, TensorTable& table,
                                           const std::string& name, MatrixShape shape);

/// Rows of one of several matrices that lie on top of each other in a tensor [n_matrices, matrix_rows, ..].
struct StackedRows {
  std::size_t n_matrices, matrix_rows;
  std::size_t matrix, first_row;
};

/// Likewise for `shape` of such a tensor, as transformers 5 holds experts in memory: FP8 alone is stored so.
std::optional<TensorSource> take_quantised(const HfQuantisation& quantisation, TensorTable& table,
                                           const std::string& name, const StackedRows& rows, MatrixShape shape);

}  // namespace mixtral::detail

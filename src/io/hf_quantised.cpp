#include "io/hf_quantised.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/message.hpp"
#include "io/fp8_matrix.hpp"
#include "io/packed_matrix.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

using Method = HfQuantisation::Method;

constexpr std::size_t kWordBits = 32;

[[noreturn]] void fail(const FileTensor& tensor, const std::string& message,
                       ErrorCode code = ErrorCode::format) {
  throw Error(code, where(tensor) + message);
}

void require_type(const FileTensor& tensor, std::string_view type) {
  if (tensor.type != type) fail(tensor, "expected dtype " + std::string(type) + ", found " + tensor.type);
}

/// Some tools store biases of zero, which a Mixtral doesn't have.
void tolerate_zero_bias(TensorTable& table, const std::string& name, std::size_t rows) {
  if (!table.contains(name)) return;
  const FileTensor& bias = table.take(name, {rows});
  if (std::any_of(bias.bytes.begin(), bias.bytes.end(), [](std::byte b) { return b != std::byte{0}; })) {
    fail(bias, "expected no bias or one of zeros, found other values", ErrorCode::unsupported);
  }
}

/// Takes the parts of a matrix that AWQ or GPTQ packed.
class PackedReader {
 public:
  PackedReader(const HfQuantisation& quantisation, TensorTable& table, std::string base,
               MatrixShape shape)
      : quantisation_(quantisation),
        table_(table),
        base_(std::move(base)),
        outputs_(shape.rows),
        inputs_(shape.cols) {}

  TensorSource read() {
    const bool is_awq = quantisation_.method == Method::awq;
    check_whole_words();
    const std::size_t group = quantisation_.group_size == 0 ? inputs_ : quantisation_.group_size;
    const std::size_t n_groups = (inputs_ + group - 1) / group;
    const FileTensor& codes = is_awq ? take_words("qweight", {inputs_, words(outputs_)})
                                     : take_words("qweight", {words(inputs_), outputs_});
    const FileTensor& zeros = take_words("qzeros", {n_groups, words(outputs_)});
    const FileTensor& scales = table_.take(base_ + "scales", {n_groups, outputs_});
    as_weight(scales);  // throws unless its type is plain
    PackedMatrix matrix{is_awq ? PackedMatrix::Order::awq : PackedMatrix::Order::gptq,
                        quantisation_.bits,
                        outputs_,
                        inputs_,
                        n_groups,
                        group,
                        quantisation_.zero_offset,
                        codes.bytes.data(),
                        zeros.bytes.data(),
                        scales.bytes.data(),
                        *scales.dtype};
    bytes_ += scales.bytes.size();
    if (!is_awq && table_.contains(base_ + "g_idx")) {
      const FileTensor& index = take_words("g_idx", {inputs_});
      matrix.group_index = index.bytes.data();
      matrix.where = where(index);
    }
    tolerate_zero_bias(table_, base_ + "bias", outputs_);
    const std::string type =
        (is_awq ? "AWQ " : "GPTQ ") + std::to_string(quantisation_.bits) + "-bit";
    return {{nullptr, matrix.dtype(), outputs_, inputs_},
            {codes.name, type, bytes_},
            [matrix] { return decode(matrix); }};
  }

 private:
  std::size_t words(std::size_t numbers) const noexcept {
    return numbers * quantisation_.bits / kWordBits;
  }

  void check_whole_words() const {
    for (const std::size_t numbers : {inputs_, outputs_}) {
      if (numbers * quantisation_.bits % kWordBits == 0) continue;
      throw Error(ErrorCode::format, "tensor " + quote(base_ + "qweight") + ": " +
                                         std::to_string(numbers) + " numbers of " +
                                         std::to_string(quantisation_.bits) +
                                         " bits don't fill words of 32");
    }
  }

  const FileTensor& take_words(const char* part, const std::vector<std::size_t>& shape) {
    const FileTensor& tensor = table_.take(base_ + part, shape);
    require_type(tensor, "I32");
    bytes_ += tensor.bytes.size();
    return tensor;
  }

  const HfQuantisation& quantisation_;
  TensorTable& table_;
  std::string base_;  // of the names of the parts
  std::size_t outputs_, inputs_;
  std::size_t bytes_ = 0;
};

using Shape = std::vector<std::size_t>;

/// The weights that share a scale, from the shape `found` of a matrix's scales.
HfQuantisation::Block block_of_scales(const HfQuantisation& quantisation, const FileTensor& scales,
                                      const Shape& found, MatrixShape shape) {
  if (found.empty() || found == Shape{1} || found == Shape{1, 1}) return {shape.rows, shape.cols};
  if (found == Shape{shape.rows} || found == Shape{shape.rows, 1}) return {1, shape.cols};
  if (const auto& block = quantisation.block) {
    const Shape expected = {(shape.rows + block->rows - 1) / block->rows,
                            (shape.cols + block->cols - 1) / block->cols};
    if (found == expected) return *block;
  }
  fail(scales, "expected one scale, one for each of " + std::to_string(shape.rows) +
                   " rows, or one for each block, found shape " + shape_text(scales.shape));
}

/// The shape of one matrix's scales, of several matrices' that have each their own.
Shape scales_of_one(const FileTensor& scales, std::size_t n_matrices) {
  if (scales.shape.empty() || scales.shape[0] != n_matrices) {
    fail(scales, "expected scales for each of " + std::to_string(n_matrices) + " matrices, found shape " +
                     shape_text(scales.shape));
  }
  return Shape(scales.shape.begin() + 1, scales.shape.end());
}

TensorSource fp8_source(const FileTensor& codes, const FileTensor& scales, const Fp8Matrix& matrix) {
  const std::size_t n_blocks = (matrix.rows + matrix.block_rows - 1) / matrix.block_rows *
                               ((matrix.cols + matrix.block_cols - 1) / matrix.block_cols);
  return {{nullptr, Fp8Matrix::kDType, matrix.rows, matrix.cols},
          {codes.name, codes.type, matrix.rows * matrix.cols + n_blocks * size_of(*scales.dtype)},
          [matrix] { return decode(matrix); }};
}

/// `name` is "x.weight", or that of a stack of matrices.
std::optional<TensorSource> take_fp8(const HfQuantisation& quantisation, TensorTable& table,
                                     const std::string& name, const std::optional<StackedRows>& stack,
                                     MatrixShape shape) {
  if (table.shape_of(name + "_scale") == nullptr && table.shape_of(name + "_scale_inv") == nullptr) {
    return std::nullopt;
  }
  const StackedRows place = stack.value_or(StackedRows{1, shape.rows, 0, 0});
  const FileTensor& codes = table.take(name, stack ? Shape{place.n_matrices, place.matrix_rows, shape.cols}
                                                   : Shape{shape.rows, shape.cols});
  require_type(codes, "F8_E4M3");
  const std::string scale_name =
      name + (table.contains(name + "_scale") ? "_scale" : "_scale_inv");
  const FileTensor& scales = table.take(scale_name, *table.shape_of(scale_name));
  if (!scales.dtype) as_weight(scales);  // throws
  const Shape found = stack ? scales_of_one(scales, place.n_matrices) : scales.shape;
  const auto [block_rows, block_cols] =
      block_of_scales(quantisation, scales, found, {place.matrix_rows, shape.cols});
  const std::string base = name.substr(0, name.rfind('.') + 1);
  for (const char* part : {"input_scale", "output_scale", "activation_scale"}) table.tolerate(base + part);
  table.tolerate(name + "_activation_scale");  // of a stack
  const std::size_t first_row = place.matrix * place.matrix_rows + place.first_row;
  return fp8_source(codes, scales,
                    {.rows = shape.rows,
                     .cols = shape.cols,
                     .codes = codes.bytes.data() + first_row * shape.cols,
                     .scales = scales.bytes.data() + place.matrix * (scales.bytes.size() / place.n_matrices),
                     .scale_type = *scales.dtype,
                     .block_rows = block_rows,
                     .block_cols = block_cols,
                     .first_row = place.first_row});
}

}  // namespace

std::optional<TensorSource> take_quantised(const HfQuantisation& quantisation, TensorTable& table,
                                           const std::string& name, MatrixShape shape) {
  if (quantisation.method == Method::fp8) return take_fp8(quantisation, table, name, std::nullopt, shape);
  const std::string base = name.substr(0, name.rfind('.') + 1);
  if (!table.contains(base + "qweight")) {
    tolerate_zero_bias(table, base + "bias", shape.rows);
    return std::nullopt;
  }
  return PackedReader(quantisation, table, base, shape).read();
}

std::optional<TensorSource> take_quantised(const HfQuantisation& quantisation, TensorTable& table,
                                           const std::string& name, const StackedRows& rows,
                                           MatrixShape shape) {
  if (quantisation.method != Method::fp8) return std::nullopt;
  return take_fp8(quantisation, table, name, rows, shape);
}

}  // namespace mixtral::detail

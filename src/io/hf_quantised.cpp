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

/// The weights that share a scale, from its shape.
HfQuantisation::Block block_of_scales(const HfQuantisation& quantisation, const FileTensor& scales,
                                      MatrixShape shape) {
  using Shape = std::vector<std::size_t>;
  const Shape& found = scales.shape;
  if (found.empty() || found == Shape{1} || found == Shape{1, 1}) return {shape.rows, shape.cols};
  if (found == Shape{shape.rows} || found == Shape{shape.rows, 1}) return {1, shape.cols};
  if (const auto& block = quantisation.block) {
    const Shape expected = {(shape.rows + block->rows - 1) / block->rows,
                            (shape.cols + block->cols - 1) / block->cols};
    if (found == expected) return *block;
  }
  fail(scales, "expected one scale, one for each of " + std::to_string(shape.rows) +
                   " rows, or one for each block, found shape " + shape_text(found));
}

/// `name` is "x.weight".
std::optional<TensorSource> take_fp8(const HfQuantisation& quantisation, TensorTable& table,
                                     const std::string& name, MatrixShape shape) {
  if (table.shape_of(name + "_scale") == nullptr && table.shape_of(name + "_scale_inv") == nullptr) {
    return std::nullopt;
  }
  const FileTensor& codes = table.take(name, {shape.rows, shape.cols});
  require_type(codes, "F8_E4M3");
  const std::string scale_name =
      name + (table.contains(name + "_scale") ? "_scale" : "_scale_inv");
  const FileTensor& scales = table.take(scale_name, *table.shape_of(scale_name));
  if (!scales.dtype) as_weight(scales);  // throws
  const auto [block_rows, block_cols] = block_of_scales(quantisation, scales, shape);
  const std::string base = name.substr(0, name.rfind('.') + 1);
  for (const char* part : {"input_scale", "output_scale"}) table.tolerate(base + part);
  const Fp8Matrix matrix{shape.rows,    shape.cols, codes.bytes.data(), scales.bytes.data(),
                         *scales.dtype, block_rows, block_cols};
  return TensorSource{{nullptr, Fp8Matrix::kDType, shape.rows, shape.cols},
                      {codes.name, codes.type, codes.bytes.size() + scales.bytes.size()},
                      [matrix] { return decode(matrix); }};
}

}  // namespace

std::optional<TensorSource> take_quantised(const HfQuantisation& quantisation, TensorTable& table,
                                           const std::string& name, MatrixShape shape) {
  if (quantisation.method == Method::fp8) return take_fp8(quantisation, table, name, shape);
  const std::string base = name.substr(0, name.rfind('.') + 1);
  if (!table.contains(base + "qweight")) {
    tolerate_zero_bias(table, base + "bias", shape.rows);
    return std::nullopt;
  }
  return PackedReader(quantisation, table, base, shape).read();
}

}  // namespace mixtral::detail

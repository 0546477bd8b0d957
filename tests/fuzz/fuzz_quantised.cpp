// Any quantization_config and any tensors give a matrix of the right shape, which decodes, or an Error. The
// input is a config.json, a zero byte, and a safetensors file with "x.weight" or its parts, or with "stack", of which
// the matrix is a part.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "check.hpp"
#include "io/hf_quantised.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/safetensors.hpp"

namespace {

using namespace mixtral;

std::vector<detail::FileTensor> tensors_of(std::span<const std::byte> bytes, const MappedFile& file) {
  std::vector<detail::FileTensor> tensors;
  for (const auto& entry : parse_safetensors_header(bytes, bytes.size(), "fuzz.safetensors").tensors) {
    tensors.push_back({entry.name, std::string(entry.dtype), to_dtype(entry.dtype), entry.shape,
                       bytes.subspan(entry.offset, entry.bytes), &file});
  }
  return tensors;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MappedFile file("/proc/self/exe");  // some file for messages to name
  const std::uint8_t* const zero = std::find(data, data + size, 0);
  if (zero == data + size) return 0;
  const std::string_view config(reinterpret_cast<const char*>(data), static_cast<std::size_t>(zero - data));
  try {
    const auto quantisation = detail::parse_hf_quantisation(config, "config.json");
    if (!quantisation) return 0;
    detail::TensorTable table;
    table.add(tensors_of(std::as_bytes(std::span(zero + 1, data + size)), file));
    constexpr detail::MatrixShape kShape = {32, 64};
    constexpr detail::StackedRows kPart = {.n_matrices = 2, .matrix_rows = 64, .matrix = 1, .first_row = 32};
    const auto source = table.contains("stack")
                            ? detail::take_quantised(*quantisation, table, "stack", kPart, kShape)
                            : detail::take_quantised(*quantisation, table, "x.weight", kShape);
    if (!source) return 0;
    check(source->view.rows == kShape.rows && source->view.cols == kShape.cols);
    const LoadedTensor tensor = source->decode();
    check(tensor.view.data != nullptr && tensor.view.bytes() == source->view.bytes());
    check(tensor.view.dtype == source->view.dtype);
  } catch (const Error& error) {
    check(error.code() == ErrorCode::format || error.code() == ErrorCode::unsupported);
  }
  return 0;
}

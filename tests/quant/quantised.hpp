// The quantised types, and conversions that own their results.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "mixtral/quant/convert.hpp"

namespace mixtral::test {

inline constexpr std::array kQuantisedTypes = {
    DType::q8_0, DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1,   DType::q2_k,
    DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_nl, DType::iq4_xs,
    DType::mxfp4, DType::nvfp4, DType::tq1_0, DType::tq2_0};

/// Whether the type's weights are multiplied by activations in 8 bits, too.
constexpr bool has_q8_products(DType dtype) { return dtype != DType::tq1_0 && dtype != DType::tq2_0; }

inline std::vector<std::byte> quantised(DType dtype, std::span<const float> values) {
  std::vector<std::byte> bytes(bytes_of(dtype, values.size()));
  quant::quantise(dtype, values, bytes.data());
  return bytes;
}

inline std::vector<float> dequantised(DType dtype, std::span<const std::byte> blocks) {
  const BlockShape& shape = block_of(dtype);
  std::vector<float> values(blocks.size() / shape.bytes * shape.elements);
  quant::dequantise(dtype, blocks.data(), values);
  return values;
}

/// What `values` are after a trip through `dtype`.
inline std::vector<float> through(DType dtype, std::span<const float> values) {
  return dequantised(dtype, quantised(dtype, values));
}

}  // namespace mixtral::test

#include "mixtral/quant/convert.hpp"

#include <cstring>

#include "mixtral/quant/formats.hpp"

namespace mixtral::quant {
namespace {

/// A plain type as a format: blocks of one element.
template <class T>
struct Plain {
  static constexpr std::size_t kElements = 1;
  using Block = T;

  static void quantise(const float* value, float& out) noexcept { out = *value; }
  static void quantise(const float* value, F16& out) noexcept { out = to_f16(*value); }
  static void quantise(const float* value, BF16& out) noexcept { out = to_bf16(*value); }
  static void dequantise(T block, float* value) noexcept { *value = to_float(block); }
};

/// Calls f.operator()<Format>() for the format of `dtype`.
template <class F>
void visit_type(DType dtype, F f) {
  switch (dtype) {
    case DType::f32:
      return f.template operator()<Plain<float>>();
    case DType::f16:
      return f.template operator()<Plain<F16>>();
    case DType::bf16:
      return f.template operator()<Plain<BF16>>();
    default:
      AllFormats::visit(dtype, f);
  }
}

}  // namespace

void quantise(DType dtype, std::span<const float> values, std::byte* out) noexcept {
  visit_type(dtype, [&]<class Format>() {
    for (std::size_t i = 0; i < values.size(); i += Format::kElements) {
      typename Format::Block block;
      Format::quantise(values.data() + i, block);
      std::memcpy(out, &block, sizeof block);
      out += sizeof block;
    }
  });
}

void dequantise(DType dtype, const std::byte* blocks, std::span<float> values) noexcept {
  visit_type(dtype, [&]<class Format>() {
    for (std::size_t i = 0; i < values.size(); i += Format::kElements) {
      typename Format::Block block;
      std::memcpy(&block, blocks, sizeof block);
      Format::dequantise(block, values.data() + i);
      blocks += sizeof block;
    }
  });
}

}  // namespace mixtral::quant

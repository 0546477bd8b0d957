#include "io/fp8_matrix.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "io/decoded_tensor.hpp"
#include "mixtral/quant/convert.hpp"

namespace mixtral::detail {
namespace {

std::array<float, 256> all_values() noexcept {
  std::array<float, 256> values{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = e4m3_to_float(static_cast<std::uint8_t>(i));
  }
  return values;
}

}  // namespace

float e4m3_to_float(std::uint8_t bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x80u) << 24;
  const std::uint32_t magnitude = bits & 0x7fu;
  if (magnitude == 0x7f) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (magnitude < 8) {  // zero or subnormal
    const float value = static_cast<float>(magnitude) * 0x1p-9f;
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | ((magnitude << 20) + ((127u - 7u) << 23)));
}

LoadedTensor decode(const Fp8Matrix& m) {
  static const std::array<float, 256> values = all_values();
  DecodedTensor decoded = make_decoded({nullptr, Fp8Matrix::kDType, m.rows, m.cols});
  const std::size_t n_scales = (m.cols + m.block_cols - 1) / m.block_cols;  // of a row
  std::vector<float> scales(n_scales), row(m.cols);
  for (std::size_t r = 0; r < m.rows; ++r) {
    const std::size_t place = m.first_row + r;
    if (r == 0 || place % m.block_rows == 0) {
      const std::size_t first = place / m.block_rows * n_scales;
      quant::dequantise(m.scale_type, m.scales + first * size_of(m.scale_type), scales);
    }
    const std::byte* const codes = m.codes + r * m.cols;
    for (std::size_t block = 0; block < n_scales; ++block) {
      const std::size_t end = std::min((block + 1) * m.block_cols, m.cols);
      for (std::size_t c = block * m.block_cols; c < end; ++c) {
        row[c] = values[std::to_integer<std::uint8_t>(codes[c])] * scales[block];
      }
    }
    quant::quantise(Fp8Matrix::kDType, row,
                    decoded.bytes + r * m.cols * size_of(Fp8Matrix::kDType));
  }
  return decoded.tensor;
}

}  // namespace mixtral::detail

#include "io/packed_matrix.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "io/decoded_tensor.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/quant/convert.hpp"

namespace mixtral::detail {
namespace {

constexpr std::size_t kWordBits = 32;
constexpr std::size_t kBlockOutputs = 32;  // so that the words of a cache line are used while they are there
constexpr std::size_t kBlockInputs = 128;

std::uint32_t word_at(const std::byte* words, std::size_t index) noexcept {
  std::uint32_t word;
  std::memcpy(&word, words + index * sizeof word, sizeof word);
  return word;
}

/// Number `index` of a string of numbers whose words are `stride` apart, lowest bits first.
unsigned number_at(const std::byte* words, std::size_t first, std::size_t stride, unsigned bits,
                   std::size_t index) noexcept {
  const std::size_t bit = index * bits;
  const std::size_t shift = bit % kWordBits;
  const std::size_t word = first + bit / kWordBits * stride;
  std::uint32_t number = word_at(words, word) >> shift;
  if (shift + bits > kWordBits) number |= word_at(words, word + stride) << (kWordBits - shift);
  return number & ((1u << bits) - 1);
}

/// Where AWQ puts number `index` of a row: it shuffles eight at a time.
std::size_t awq_place(std::size_t index) noexcept {
  constexpr std::size_t kPlaces[] = {0, 4, 1, 5, 2, 6, 3, 7};
  return index / 8 * 8 + kPlaces[index % 8];
}

unsigned code_of(const PackedMatrix& m, std::size_t output, std::size_t input) noexcept {
  if (m.order == PackedMatrix::Order::gptq) {
    return number_at(m.codes, output, m.outputs, m.bits, input);
  }
  return number_at(m.codes, input * (m.outputs * m.bits / kWordBits), 1, m.bits, awq_place(output));
}

float zero_of(const PackedMatrix& m, std::size_t group, std::size_t output) noexcept {
  const std::size_t place = m.order == PackedMatrix::Order::gptq ? output : awq_place(output);
  const unsigned stored =
      number_at(m.zeros, group * (m.outputs * m.bits / kWordBits), 1, m.bits, place);
  return static_cast<float>(stored + m.zero_offset);
}

float scale_of(const PackedMatrix& m, std::size_t group, std::size_t output) noexcept {
  float scale = 0;
  quant::dequantise(m.scale_type,
                    m.scales + (group * m.outputs + output) * size_of(m.scale_type), {&scale, 1});
  return scale;
}

std::vector<std::uint32_t> groups_of_inputs(const PackedMatrix& m) {
  std::vector<std::uint32_t> groups(m.inputs);
  for (std::size_t i = 0; i < m.inputs; ++i) {
    groups[i] = m.group_index == nullptr ? static_cast<std::uint32_t>(i / m.group_size)
                                         : word_at(m.group_index, i);
    if (groups[i] >= m.n_groups) {
      throw Error(ErrorCode::format, m.where + "input " + std::to_string(i) + ": expected a group below " +
                                         std::to_string(m.n_groups) + ", found " +
                                         std::to_string(static_cast<std::int32_t>(groups[i])));
    }
  }
  return groups;
}

class Decoder {
 public:
  Decoder(const PackedMatrix& matrix, std::byte* out)
      : matrix_(matrix),
        out_(out),
        groups_(groups_of_inputs(matrix)),
        zeros_(kBlockOutputs * matrix.n_groups),
        scales_(kBlockOutputs * matrix.n_groups) {}

  void run() {
    for (std::size_t first = 0; first < matrix_.outputs; first += kBlockOutputs) {
      const std::size_t count = std::min(kBlockOutputs, matrix_.outputs - first);
      read_groups(first, count);
      for (std::size_t input = 0; input < matrix_.inputs; input += kBlockInputs) {
        const std::size_t end = std::min(input + kBlockInputs, matrix_.inputs);
        for (std::size_t i = 0; i < count; ++i) decode_row(first + i, i, input, end);
      }
    }
  }

 private:
  void read_groups(std::size_t first, std::size_t count) {
    for (std::size_t group = 0; group < matrix_.n_groups; ++group) {
      for (std::size_t i = 0; i < count; ++i) {
        zeros_[i * matrix_.n_groups + group] = zero_of(matrix_, group, first + i);
        scales_[i * matrix_.n_groups + group] = scale_of(matrix_, group, first + i);
      }
    }
  }

  /// Inputs [begin, end) of a row, which is number `i` of its block.
  void decode_row(std::size_t output, std::size_t i, std::size_t begin, std::size_t end) {
    const float* const zeros = zeros_.data() + i * matrix_.n_groups;
    const float* const scales = scales_.data() + i * matrix_.n_groups;
    float values[kBlockInputs];
    for (std::size_t input = begin; input < end; ++input) {
      const std::uint32_t group = groups_[input];
      const auto code = static_cast<float>(code_of(matrix_, output, input));
      values[input - begin] = (code - zeros[group]) * scales[group];
    }
    const DType dtype = matrix_.dtype();
    quant::quantise(dtype, {values, end - begin},
                    out_ + (output * matrix_.inputs + begin) * size_of(dtype));
  }

  const PackedMatrix& matrix_;
  std::byte* out_;
  std::vector<std::uint32_t> groups_;  // of each input
  std::vector<float> zeros_, scales_;  // [rows of a block, groups]
};

}  // namespace

LoadedTensor decode(const PackedMatrix& matrix) {
  DecodedTensor decoded = make_decoded({nullptr, matrix.dtype(), matrix.outputs, matrix.inputs});
  Decoder(matrix, decoded.bytes).run();
  return decoded.tensor;
}

}  // namespace mixtral::detail

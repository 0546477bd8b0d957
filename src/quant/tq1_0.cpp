#include "mixtral/quant/tq1_0.hpp"

#include "quant/ternary.hpp"

namespace mixtral::quant {
namespace {

/// Bytes that lie together, and their codes: code `stride` * n + l is digit n < `digits` of byte l.
struct Part {
  std::size_t stride;
  std::size_t digits;
};

/// Calls f(part, bytes, codes) for each part of a block.
template <class Block, class Code, class F>
void for_each_part(Block& block, Code* codes, F f) noexcept {
  f(Part{32, 5}, block.qs, codes);
  f(Part{16, 5}, block.qs + 32, codes + 160);
  f(Part{4, 4}, block.qh, codes + 240);
}

}  // namespace

void TQ1_0::quantise(const float* values, Block& block) noexcept {
  std::uint8_t codes[kElements];
  block.d = detail::round_to_ternary(values, codes);
  for_each_part(block, codes, [](Part part, std::uint8_t* bytes, const std::uint8_t* from) {
    for (std::size_t l = 0; l < part.stride; ++l) {
      int number = 0;
      for (std::size_t n = 0; n < 5; ++n) {
        number = 3 * number + (n < part.digits ? from[part.stride * n + l] : 0);
      }
      bytes[l] = static_cast<std::uint8_t>((number * 256 + 242) / 243);  // rounded up
    }
  });
}

void TQ1_0::dequantise(const Block& block, float* values) noexcept {
  std::uint8_t codes[kElements];
  for_each_part(block, codes, [](Part part, const std::uint8_t* bytes, std::uint8_t* to) {
    for (std::size_t l = 0; l < part.stride; ++l) {
      int fraction = bytes[l];
      for (std::size_t n = 0; n < part.digits; ++n) {
        to[part.stride * n + l] = static_cast<std::uint8_t>(3 * fraction >> 8);
        fraction = 3 * fraction & 255;
      }
    }
  });
  detail::widen_ternary(codes, block.d, values);
}

}  // namespace mixtral::quant

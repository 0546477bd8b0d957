// What blocks mean, and which blocks weights become.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "mixtral/quant/formats.hpp"
#include "quant/quantised.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/golden_file.hpp"
#include "support/guarded.hpp"
#include "support/random.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

const GoldenFile& golden() {
  static const GoldenFile file(std::filesystem::path(MIXTRAL_GOLDENS_DIR) /
                               "quant/quant.safetensors");
  return file;
}

/// All NaNs as the same one: which payload a product has is not specified.
std::vector<float> with_one_nan(std::vector<float> values) {
  for (float& value : values) {
    if (std::isnan(value)) value = std::numeric_limits<float>::quiet_NaN();
  }
  return values;
}

/// The largest that a type without NaN and infinities can hold.
constexpr float kLargestNvfp4 = 448 * 6;

/// All NaN, or what the type has instead.
bool all_are_marked(DType dtype, std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [=](float v) {
    if (dtype == DType::nvfp4) return v == kLargestNvfp4;
    return dtype == DType::mxfp4 ? std::isinf(v) : std::isnan(v);
  });
}

float largest_of(std::span<const float> values) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

}  // namespace

TEST_CASE("the list of formats has every quantised type, and no plain one") {
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    std::size_t block_bytes = 0;
    const bool found = quant::AllFormats::visit(dtype, [&]<class Format>() {
      REQUIRE(Format::kElements == block_of(dtype).elements);
      block_bytes = quant::kBlockBytes<Format>;
    });
    INFO(name_of(dtype));
    REQUIRE(found == is_quantised(dtype));
    if (found) REQUIRE(block_bytes == block_of(dtype).bytes);  // the fields are the whole block
  }
}

TEST_CASE("blocks mean what the gguf package says, to the bit") {
  for (const DType dtype : kQuantisedTypes) {
    const std::string name(name_of(dtype));
    INFO(name);
    const auto values = dequantised(dtype, golden().bytes(name + ".blocks"));
    REQUIRE(bit_difference(with_one_nan(values), with_one_nan(golden().floats(name + ".values"))) ==
            "");
  }
}

TEST_CASE("the simple types are quantised to the bytes of the gguf package and llama.cpp") {
  const auto weights = golden().floats("weights");
  for (const DType dtype : {DType::q8_0, DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::mxfp4,
                            DType::nvfp4, DType::tq1_0, DType::tq2_0}) {
    const std::size_t block = block_of(dtype).bytes;
    const auto actual = quantised(dtype, weights);
    const auto expected = golden().bytes(std::string(name_of(dtype)) + ".quantised");
    REQUIRE(actual.size() == expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i) {
      if (actual[i] != expected[i]) {
        FAIL(name_of(dtype) << ", block " << i / block << ", byte " << i % block << ": expected "
                            << std::to_integer<int>(expected[i]) << ", found "
                            << std::to_integer<int>(actual[i]));
      }
    }
  }
}

TEST_CASE("plain types round to the nearest") {
  const std::vector<float> values = {0.0f, -0.0f, 1.0f / 3, -1e5f, 0x1p-24f, 65504.0f};
  REQUIRE(bit_difference(through(DType::f32, values), values) == "");
  std::vector<float> f16, bf16;
  for (const float value : values) {
    f16.push_back(to_float(to_f16(value)));
    bf16.push_back(to_float(to_bf16(value)));
  }
  REQUIRE(bit_difference(through(DType::f16, values), f16) == "");
  REQUIRE(bit_difference(through(DType::bf16, values), bf16) == "");
}

TEST_CASE("zeros stay zeros") {
  const std::vector<float> zeros(512);
  for (const DType dtype : kQuantisedTypes) {
    INFO(name_of(dtype));
    REQUIRE(largest_of(through(dtype, zeros)) == 0);
  }
}

TEST_CASE("conversions write what they should, at any address") {
  for (const DType dtype : kQuantisedTypes) {
    INFO(name_of(dtype));
    const auto values = Random(1).reals(512);
    const auto expected = quantised(dtype, values);
    const Input input(values, 4);
    Output<std::byte> blocks(expected.size(), 3);
    quant::quantise(dtype, {input.floats(), values.size()}, blocks.data());
    REQUIRE(blocks.is_intact());
    REQUIRE(std::ranges::equal(blocks.values(), expected));

    const Input bytes(expected, 1);
    Output<float> back(values.size(), 1);
    quant::dequantise(dtype, bytes.data(), {back.data(), values.size()});
    REQUIRE(back.is_intact());
    REQUIRE(bit_difference(back.values(), dequantised(dtype, expected)) == "");
  }
}

TEST_CASE("a weight that isn't finite makes its block NaN or infinite or the largest, and no other block") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const DType dtype : kQuantisedTypes) {
    const std::size_t block = block_of(dtype).elements;
    const auto clean = Random(2).reals(3 * block);
    const auto expected = through(dtype, clean);
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity}) {
      for (const std::size_t at : {block, block + 5, 2 * block - 1}) {
        INFO(name_of(dtype) << " with " << bad << " at " << at);
        auto values = clean;
        values[at] = bad;
        const auto actual = through(dtype, values);
        const std::span<const float> view(actual);
        REQUIRE(all_are_marked(dtype, view.subspan(block, block)));
        const std::span<const float> wanted(expected);
        REQUIRE(bit_difference(view.first(block), wanted.first(block)) == "");
        REQUIRE(bit_difference(view.last(block), wanted.last(block)) == "");
      }
    }
  }
}

TEST_CASE("weights too large for a block's scale become its largest value") {
  for (const DType dtype : kQuantisedTypes) {
    for (const float huge : {1e9f, 1e20f, std::numeric_limits<float>::max()}) {
      for (const float sign : {1.0f, -1.0f}) {
        INFO(name_of(dtype) << " of " << sign * huge);
        std::vector<float> values(256, sign * huge);
        values[3] = 0;
        const auto actual = through(dtype, values);
        for (std::size_t i = 0; i < values.size(); ++i) {
          REQUIRE(std::isfinite(actual[i]));
          // 65504 is the largest f16.
          if (i != 3) REQUIRE(sign * actual[i] >= (dtype == DType::nvfp4 ? kLargestNvfp4 : 65504));
        }
      }
    }
  }
}

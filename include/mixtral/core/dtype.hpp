// Types that weights, caches and activations are stored in.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mixtral {

/// The plain types hold one element after the other. The others are quantised: rows of blocks, each
/// with its own scale, byte for byte as GGUF files hold them (one file each in quant/).
enum class DType : std::uint8_t {
  f32, f16, bf16,
  q8_0, q4_0, q4_1, q5_0, q5_1,
  q2_k, q3_k, q4_k, q5_k, q6_k,
  iq4_nl, iq4_xs,
  mxfp4, nvfp4,
  tq1_0, tq2_0,
};

inline constexpr std::size_t kDTypeCount = 19;

/// What a key/value cache can be stored in: the first types, so that tables can be indexed by DType.
inline constexpr std::array kCacheDTypes = {DType::f32, DType::f16, DType::bf16, DType::q8_0};

/// What a type stores as one unit.
struct BlockShape {
  std::size_t elements;
  std::size_t bytes;
};

namespace detail {
struct DTypeTraits {
  std::string_view name;
  BlockShape block;
};
inline constexpr DTypeTraits kDTypeTraits[kDTypeCount] = {
    {"f32", {1, 4}},      {"f16", {1, 2}},      {"bf16", {1, 2}},     {"q8_0", {32, 34}},
    {"q4_0", {32, 18}},   {"q4_1", {32, 20}},   {"q5_0", {32, 22}},   {"q5_1", {32, 24}},
    {"q2_k", {256, 84}},  {"q3_k", {256, 110}}, {"q4_k", {256, 144}}, {"q5_k", {256, 176}},
    {"q6_k", {256, 210}}, {"iq4_nl", {32, 18}}, {"iq4_xs", {256, 136}}, {"mxfp4", {32, 17}},
    {"nvfp4", {64, 36}},  {"tq1_0", {256, 54}}, {"tq2_0", {256, 66}},
};
}  // namespace detail

constexpr BlockShape block_of(DType dtype) noexcept {
  return detail::kDTypeTraits[static_cast<std::size_t>(dtype)].block;
}

constexpr bool is_quantised(DType dtype) noexcept { return block_of(dtype).elements > 1; }

/// Bytes of one element of a plain type.
constexpr std::size_t size_of(DType dtype) noexcept { return block_of(dtype).bytes; }

/// Bytes of `n` elements, a whole number of blocks.
constexpr std::size_t bytes_of(DType dtype, std::size_t n) noexcept {
  return n / block_of(dtype).elements * block_of(dtype).bytes;
}

/// The lower-case name.
constexpr std::string_view name_of(DType dtype) noexcept {
  return detail::kDTypeTraits[static_cast<std::size_t>(dtype)].name;
}

/// The type of that name, if there is one.
constexpr std::optional<DType> dtype_of(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    if (detail::kDTypeTraits[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

/// IEEE 754 binary16 storage: 1 sign, 5 exponent, 10 mantissa bits.
struct F16 {
  std::uint16_t bits;
};

/// bfloat16 storage: the upper half of a binary32.
struct BF16 {
  std::uint16_t bits;
};

constexpr float to_float(float value) noexcept { return value; }

constexpr float to_float(BF16 value) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

constexpr float to_float(F16 value) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (value.bits >> 10) & 0x1fu;
  const std::uint32_t mantissa = value.bits & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) {
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  }
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // zero or subnormal: exact
  return sign != 0 ? -magnitude : magnitude;
}

/// Rounds to nearest, ties to even; NaN stays NaN (quiet).
constexpr BF16 to_bf16(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  }
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

/// Rounds to nearest, ties to even; overflows to infinity; NaN stays NaN (quiet).
constexpr F16 to_f16(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<std::uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x47800000u) return {static_cast<std::uint16_t>(sign | 0x7c00u)};
  if (magnitude < 0x38800000u) {
    // Adding 0.5 aligns the mantissa so that the FPU rounds it at the subnormal's last place.
    const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(aligned) - 0x3f000000u;
    return {static_cast<std::uint16_t>(sign | subnormal)};
  }
  const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
}

/// Maps a storage type to its DType.
template <class T>
inline constexpr DType kDTypeOf = DType::f32;
template <>
inline constexpr DType kDTypeOf<F16> = DType::f16;
template <>
inline constexpr DType kDTypeOf<BF16> = DType::bf16;

}  // namespace mixtral

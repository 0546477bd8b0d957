// Loops of one instruction set that multiply and add in registers alone. Each instruction set has a
// source of its own, compiled with its flags.
#pragma once

#include <cstddef>

#include "mixtral/simd/dot.hpp"
#include "mixtral/simd/int8.hpp"

namespace mixtral::roofs {

/// Independent sums: enough to fill two units of four cycles' latency, few enough for 16 registers
/// with what else a step needs, which for bytes can be several instructions.
inline constexpr std::size_t kSums = 12;
inline constexpr std::size_t kByteSums = 8;
inline constexpr std::size_t kByteWords = 8;  // of a group of 32 weights

struct Loop {
  /// The results go to `out`, which keeps the compiler from leaving the work out.
  void (*run)(std::size_t n_rounds, float* out) noexcept;
  double operations_per_round;
};

/// By Arithmetic; a null `run` where the instruction set has no such products.
struct Loops {
  Loop f32, bf16, int8;
};

extern const Loops kBaselineLoops;
extern const Loops kAvx2Loops;      // x86-64 builds only
extern const Loops kAvx2VnniLoops;  // x86-64 builds only
extern const Loops kAvx512Loops;    // x86-64 builds only

/// Each sum is itself multiplied, or a product that never changes would leave the loop.
template <class Arch>
void f32_loop(std::size_t n_rounds, float* out) noexcept {
  using simd::Vec;
  const Vec<Arch> half = simd::broadcast<Arch>(0.5f), one = simd::broadcast<Arch>(1.0f);
  Vec<Arch> sums[kSums];
  for (Vec<Arch>& sum : sums) sum = one;
  for (std::size_t round = 0; round < n_rounds; ++round) {
    for (Vec<Arch>& sum : sums) sum = simd::multiply_add<Arch>(sum, half, one);
  }
  for (const Vec<Arch>& sum : sums) *out += simd::sum<Arch>(sum);
}

template <class Arch>
void bf16_loop(std::size_t n_rounds, float* out) noexcept {
  using simd::Vec;
  using Dot = simd::Dot<Arch, BF16, BF16>;
  const BF16 ones[Dot::kStep] = {{0x3f80}};
  const auto weights = Dot::weights(ones);
  const auto activations = Dot::activations(ones);
  Vec<Arch> sums[kSums];
  for (Vec<Arch>& sum : sums) sum = simd::broadcast<Arch>(0);
  for (std::size_t round = 0; round < n_rounds; ++round) {
    for (Vec<Arch>& sum : sums) sum = Dot::step(weights, activations, sum);
  }
  for (const Vec<Arch>& sum : sums) *out += simd::sum<Arch>(sum);
}

/// Weights of four bits, of which the narrowest sums can hold the most. The sums are weights too, for the
/// same reason as above.
template <class Arch>
void int8_loop(std::size_t n_rounds, float* out) noexcept {
  using Dot = simd::ByteDot<Arch, 0, 15, kByteWords>;
  simd::Words<Arch> activations[kByteWords];
  for (std::size_t j = 0; j < kByteWords; ++j) {
    activations[j] = simd::broadcast_word<Arch>(0x01ff02fe + static_cast<std::uint32_t>(j));
  }
  simd::IntVec<Arch> sums[kByteSums];
  for (simd::IntVec<Arch>& sum : sums) sum = simd::broadcast_int<Arch>(1);
  for (std::size_t round = 0; round < n_rounds; ++round) {
    for (simd::IntVec<Arch>& sum : sums) {
      Dot dot(0);
#pragma GCC unroll 8
      for (std::size_t j = 0; j < kByteWords; ++j) {
        dot.add(j, std::bit_cast<simd::Words<Arch>>(sum), activations[j]);
      }
      sum = dot.sums();
    }
  }
  for (const simd::IntVec<Arch>& sum : sums) {
    *out += simd::sum<Arch>(simd::to_float<Arch>(sum));
  }
}

template <class Arch>
constexpr Loops make_loops() noexcept {
  constexpr double kWidth = simd::kWidth<Arch>;
  Loops loops = {{f32_loop<Arch>, 2 * kSums * kWidth}, {}, {int8_loop<Arch>, 8 * kByteSums * kByteWords * kWidth}};
  if constexpr (simd::kHasBf16Dot<Arch>) {
    loops.bf16 = {bf16_loop<Arch>, 2.0 * kSums * simd::Dot<Arch, BF16, BF16>::kStep};
  }
  return loops;
}

}  // namespace mixtral::roofs

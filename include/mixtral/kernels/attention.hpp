// Attention with an online softmax (Milakov and Gimelshein, 2018): one pass over the keys and values
// of a kv head serves all its query heads.
#pragma once

#include <cstddef>

#include "mixtral/kernels/elementwise.hpp"
#include "mixtral/kernels/table.hpp"

namespace mixtral::kernels {

namespace detail {

/// Positions whose scores are worked on together.
inline constexpr std::size_t kKeyBlock = 32;

template <class Arch>
float exponential_of(float value) noexcept {
  float lanes[simd::kWidth<Arch>];
  simd::store<Arch>(static_cast<float*>(lanes),
                    simd::exponential<Arch>(simd::broadcast<Arch>(value)));
  return lanes[0];
}

/// scores[g][j] = query[g] . key[j] for G query heads and the block's n keys.
template <class Arch, class T, std::size_t G>
void scores(const float* query, std::size_t head_dim, const T* keys, std::size_t n,
            float (*out)[kKeyBlock]) noexcept {
  using Vec = simd::Vec<Arch>;
  constexpr std::size_t kStep = simd::kWidth<Arch>;
  for (std::size_t j = 0; j < n; ++j) {
    const T* key = keys + j * head_dim;
    Vec sums[G];
    for (std::size_t g = 0; g < G; ++g) sums[g] = simd::broadcast<Arch>(0.0f);
    std::size_t d = 0;
    for (; d + kStep <= head_dim; d += kStep) {
      const Vec k = simd::load<Arch>(key + d);
      for (std::size_t g = 0; g < G; ++g) {
        sums[g] =
            simd::multiply_add<Arch>(k, simd::load<Arch>(query + g * head_dim + d), sums[g]);
      }
    }
    if (const std::size_t rest = head_dim - d; rest > 0) {
      const Vec k = simd::load_partial<Arch>(key + d, rest);
      for (std::size_t g = 0; g < G; ++g) {
        sums[g] = simd::multiply_add<Arch>(
            k, simd::load_partial<Arch>(query + g * head_dim + d, rest), sums[g]);
      }
    }
    for (std::size_t g = 0; g < G; ++g) out[g][j] = simd::sum<Arch>(sums[g]);
  }
}

/// Turns a block's scores into exp(score - max) and rescales what was summed before.
template <class Arch>
void softmax_block(float* scores, std::size_t n, std::size_t head_dim, float& max, float& sum,
                   float* values) noexcept {
  using Vec = simd::Vec<Arch>;
  float block_max = max;
  for (std::size_t j = 0; j < n; ++j) block_max = scores[j] > block_max ? scores[j] : block_max;
  const Vec shift = simd::broadcast<Arch>(block_max);
  map_row<Arch>(n, scores, [&](Vec s) { return simd::exponential<Arch>(s - shift); },
                static_cast<const float*>(scores));
  float block_sum = 0.0f;
  for (std::size_t j = 0; j < n; ++j) block_sum += scores[j];
  const float correction = exponential_of<Arch>(max - block_max);
  sum = sum * correction + block_sum;
  multiply<Arch>(correction, head_dim, values);
  max = block_max;
}

/// values_out[g] += sum over j of weights[g][j] * values[j].
template <class Arch, class T, std::size_t G>
void weigh_values(const float (*weights)[kKeyBlock], const T* values, std::size_t n,
                  std::size_t head_dim, float* out) noexcept {
  using Vec = simd::Vec<Arch>;
  constexpr std::size_t kStep = simd::kWidth<Arch>;
  const auto columns = [&](std::size_t d, auto load_value, auto load_sum, auto store_sum) {
    Vec sums[G];
    for (std::size_t g = 0; g < G; ++g) sums[g] = load_sum(out + g * head_dim + d);
    for (std::size_t j = 0; j < n; ++j) {
      const Vec v = load_value(values + j * head_dim + d);
      for (std::size_t g = 0; g < G; ++g) {
        sums[g] = simd::multiply_add<Arch>(simd::broadcast<Arch>(weights[g][j]), v, sums[g]);
      }
    }
    for (std::size_t g = 0; g < G; ++g) store_sum(out + g * head_dim + d, sums[g]);
  };
  std::size_t d = 0;
  for (; d + kStep <= head_dim; d += kStep) {
    columns(
        d, [](const T* p) { return simd::load<Arch>(p); },
        [](const float* p) { return simd::load<Arch>(p); },
        [](float* p, Vec v) { simd::store<Arch>(p, v); });
  }
  if (const std::size_t rest = head_dim - d; rest > 0) {
    columns(
        d, [rest](const T* p) { return simd::load_partial<Arch>(p, rest); },
        [rest](const float* p) { return simd::load_partial<Arch>(p, rest); },
        [rest](float* p, Vec v) { simd::store_partial<Arch>(p, v, rest); });
  }
}

/// G query heads over the whole range.
template <class Arch, class T, std::size_t G>
void attend_heads(const AttendArgs& args, std::size_t first_head) noexcept {
  const float* query = args.query + first_head * args.head_dim;
  float* values_out = args.state.values + first_head * args.head_dim;
  float* max = args.state.max + first_head;
  float* sum = args.state.sum + first_head;
  for (std::size_t g = 0; g < G; ++g) {
    max[g] = -__builtin_huge_valf();
    sum[g] = 0.0f;
  }
  for (std::size_t i = 0; i < G * args.head_dim; ++i) values_out[i] = 0.0f;

  const T* keys = reinterpret_cast<const T*>(args.keys);
  const T* values = reinterpret_cast<const T*>(args.values);
  float block[G][kKeyBlock];
  for (std::size_t p = args.begin; p < args.end; p += kKeyBlock) {
    const std::size_t n = args.end - p < kKeyBlock ? args.end - p : kKeyBlock;
    scores<Arch, T, G>(query, args.head_dim, keys + p * args.head_dim, n, block);
    for (std::size_t g = 0; g < G; ++g) {
      softmax_block<Arch>(block[g], n, args.head_dim, max[g], sum[g],
                          values_out + g * args.head_dim);
    }
    weigh_values<Arch, T, G>(block, values + p * args.head_dim, n, args.head_dim, values_out);
  }
}

/// Query heads from `head` on, G at a time and then fewer.
template <class Arch, class T, std::size_t G>
void attend_groups(const AttendArgs& args, std::size_t head) noexcept {
  for (; head + G <= args.group; head += G) attend_heads<Arch, T, G>(args, head);
  if constexpr (G > 1) attend_groups<Arch, T, G / 2>(args, head);
}

}  // namespace detail

template <class Arch, class T>
void attend(const AttendArgs& args) noexcept {
  if (args.group == 6) {  // 8x22B: one pass instead of 4 + 2
    detail::attend_heads<Arch, T, 6>(args, 0);
  } else {
    detail::attend_groups<Arch, T, 8>(args, 0);
  }
}

template <class Arch>
void merge(const AttentionState& later, std::size_t group, std::size_t head_dim,
           const AttentionState& into) noexcept {
  for (std::size_t g = 0; g < group; ++g) {
    const float max = later.max[g] > into.max[g] ? later.max[g] : into.max[g];
    const float keep = detail::exponential_of<Arch>(into.max[g] - max);
    const float add = detail::exponential_of<Arch>(later.max[g] - max);
    multiply<Arch>(keep, head_dim, into.values + g * head_dim);
    add_scaled<Arch>(add, later.values + g * head_dim, head_dim, into.values + g * head_dim);
    into.sum[g] = into.sum[g] * keep + later.sum[g] * add;
    into.max[g] = max;
  }
}

}  // namespace mixtral::kernels

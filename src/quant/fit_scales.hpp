// Runs of weights as scale * level, with fixed levels: the fits of Q3_K, Q6_K, IQ4_NL and IQ4_XS.
#pragma once

#include <array>

#include "mixtral/quant/iq4_values.hpp"
#include "quant/fit.hpp"

namespace mixtral::quant::detail {

/// A group of weights rounded to levels.
template <std::size_t N>
struct LevelGroup {
  int code[N];
  float level[N];

  float error(const float* x, float scale) const noexcept {
    return sum_of<N>([=, this](std::size_t i) {
      const float r = x[i] - scale * level[i];
      return r * r;
    });
  }
  float dot(const float* x) const noexcept {
    return sum_of<N>([=, this](std::size_t i) { return x[i] * level[i]; });
  }
  float sum_of_squares() const noexcept { return dot(level); }
};

/// Where to look for the scale of a group: it takes the largest weight to `first`, `first + step`,
/// .. of the lowest level, or of minus that.
struct ScaleStarts {
  float first;
  float step;
  int count;
  bool both_signs;
};

/// Levels -kZero .. kZero - 1.
template <int kZero>
struct EvenLevels {
  static constexpr float kLowest = -kZero;
  static constexpr ScaleStarts kStarts =
      kZero < 8 ? ScaleStarts{0.6f, 0.1f, 7, false} : ScaleStarts{0.8f, 0.02f, 11, false};

  template <std::size_t N>
  static LevelGroup<N> round(const float* x, float scale) noexcept {
    const float inverse = inverse_of(scale);
    LevelGroup<N> group;
    for (std::size_t i = 0; i < N; ++i) group.level[i] = x[i] * inverse + (kZero + 0.5f);
    to_codes<2 * kZero - 1>(group.level, group.code);
    for (std::size_t i = 0; i < N; ++i) group.level[i] = static_cast<float>(group.code[i] - kZero);
    return group;
  }
};

/// The levels of kIQ4Values.
struct IQ4Levels {
  static constexpr float kLowest = kIQ4Values[0];
  static constexpr ScaleStarts kStarts = {0.8f, 0.05f, 7, true};

  template <std::size_t N>
  static LevelGroup<N> round(const float* x, float scale) noexcept {
    const float inverse = 2 * inverse_of(scale);
    LevelGroup<N> group;
    for (std::size_t i = 0; i < N; ++i) group.level[i] = x[i] * inverse + 256;
    to_codes<511>(group.level, group.code);
    for (std::size_t i = 0; i < N; ++i) {
      group.code[i] = kNearest[static_cast<std::size_t>(group.code[i])];
      group.level[i] = kIQ4Values[group.code[i]];
    }
    return group;
  }

 private:
  /// The code of the level nearest to i / 2 - 128 .. (i + 1) / 2 - 128: all midpoints of two levels
  /// are whole or half numbers, so none lies within.
  static constexpr std::array<std::uint8_t, 512> kNearest = [] {
    std::array<std::uint8_t, 512> nearest{};
    for (int i = 0; i < 512; ++i) {
      int code = 0;
      while (code < 15 && kIQ4Values[code] + kIQ4Values[code + 1] <= i - 256) ++code;
      nearest[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(code);
    }
    return nearest;
  }();
};

/// The scale for one group: the best of several starts, refitted until that doesn't help.
template <class Levels, std::size_t N>
float fit_scale(const float* x) noexcept {
  float largest = 0;
  for (std::size_t i = 0; i < N; ++i) {
    if (std::abs(x[i]) > std::abs(largest)) largest = x[i];
  }
  if (largest == 0) return 0;
  float best = 0;
  float best_gain = 0;  // by how much the levels lower the sum of squares
  const auto try_start = [&](float scale) {
    const LevelGroup<N> group = Levels::template round<N>(x, scale);
    const float dot = group.dot(x);
    const float squares = group.sum_of_squares();
    const float gain = squares > 0 ? dot * (dot / squares) : 0;
    const bool is_better = gain > best_gain;
    if (is_better) {
      best = dot / squares;
      best_gain = gain;
    }
    return is_better;
  };
  constexpr ScaleStarts kStarts = Levels::kStarts;
  for (int i = 0; i < kStarts.count; ++i) {
    const float scale =
        largest / (Levels::kLowest * (kStarts.first + static_cast<float>(i) * kStarts.step));
    try_start(scale);
    if (kStarts.both_signs) try_start(-scale);
  }
  for (int i = 0; i < 2 && try_start(best); ++i) {
  }
  return best;
}

/// Weights of a block with a scale each for `kGroups` groups of N.
template <std::size_t kGroups, std::size_t N>
struct FittedScales {
  F16 d;
  std::int8_t scales[kGroups];
  std::uint8_t codes[kGroups * N];
};

/// Fits a block's groups as d * scale * level; scales are -kScaleZero .. kScaleZero - 1. A block
/// with a weight that isn't finite gets NaN for d.
template <class Levels, int kScaleZero, std::size_t kGroups, std::size_t N>
class ScalesFit {
 public:
  static FittedScales<kGroups, N> fit(const float* values) noexcept {
    ScalesFit fit;
    if (!load_weights(values, fit.x_)) return {kNaN16, {}, {}};
    float largest = 0;
    for (std::size_t group = 0; group < kGroups; ++group) {
      fit.scales_[group] = fit_scale<Levels, N>(fit.x_ + group * N);
      if (std::abs(fit.scales_[group]) > std::abs(largest)) largest = fit.scales_[group];
    }
    const Grid first = fit.on_grid(to_scale(largest / -kScaleZero));
    const Grid second = fit.on_grid(to_scale(first.better));
    return fit.rounded(second.error < first.error ? second : first);
  }

 private:
  /// The groups' scales on multiples of d.
  struct Grid {
    F16 d;
    std::array<int, kGroups> scales;
    double error = 0;
    float better;  ///< the d that suits the rounded weights best

    float scale(std::size_t group) const noexcept {
      return to_float(d) * static_cast<float>(scales[group]);
    }
  };

  Grid on_grid(F16 d) const noexcept {
    Grid grid{d, {}, 0, to_float(d)};
    double aa = 0, xa = 0;  // sums over all weights x for a = scale * level
    for (std::size_t group = 0; group < kGroups; ++group) {
      grid.scales[group] = choose(group, to_float(d));
      const float* x = x_ + group * N;
      const LevelGroup<N> rounded = Levels::template round<N>(x, grid.scale(group));
      const double scale = grid.scales[group];
      grid.error += rounded.error(x, grid.scale(group));
      aa += scale * scale * rounded.sum_of_squares();
      xa += scale * rounded.dot(x);
    }
    if (aa > 0) grid.better = static_cast<float>(xa / aa);
    return grid;
  }

  /// Of the multiples of d next to a group's fitted scale the best one.
  int choose(std::size_t group, float d) const noexcept {
    const float* x = x_ + group * N;
    const float steps =
        std::clamp(scales_[group] * inverse_of(d), -1.0f * kScaleZero, kScaleZero - 1.0f);
    const int nearest = static_cast<int>(std::floor(steps + 0.5f));
    int best = 0;
    float best_error = std::numeric_limits<float>::infinity();
    for (int scale = std::max(-kScaleZero, nearest - 1);
         scale <= std::min(kScaleZero - 1, nearest + 1); ++scale) {
      const float exact = d * static_cast<float>(scale);
      const float error = Levels::template round<N>(x, exact).error(x, exact);
      if (error < best_error) {
        best = scale;
        best_error = error;
      }
    }
    return best;
  }

  FittedScales<kGroups, N> rounded(const Grid& grid) const noexcept {
    FittedScales<kGroups, N> fitted{grid.d, {}, {}};
    for (std::size_t group = 0; group < kGroups; ++group) {
      fitted.scales[group] = static_cast<std::int8_t>(grid.scales[group]);
      const LevelGroup<N> rounded = Levels::template round<N>(x_ + group * N, grid.scale(group));
      for (std::size_t i = 0; i < N; ++i) {
        fitted.codes[group * N + i] = static_cast<std::uint8_t>(rounded.code[i]);
      }
    }
    return fitted;
  }

  float x_[kGroups * N];
  std::array<float, kGroups> scales_;
};

}  // namespace mixtral::quant::detail

// Blocks of groups of weights as d * scale * q - dmin * min: the fits of Q2_K, Q4_K and Q5_K.
#pragma once

#include <array>

#include "quant/fit.hpp"

namespace mixtral::quant::detail {

/// Equidistant levels scale * q - min, q = 0 .. kMax.
struct Line {
  float scale;
  float min;
};

/// A group of weights rounded to levels, and what the solutions of the normal equations are made
/// of.
template <std::size_t N>
struct RoundedGroup {
  int q[N];
  float r[N];  ///< weight - level

  float error() const noexcept {
    return sum_of<N>([this](std::size_t i) { return r[i] * r[i]; });
  }
  float sum_r() const noexcept {
    return sum_of<N>([this](std::size_t i) { return r[i]; });
  }
  float sum_rq() const noexcept {
    return sum_of<N>([this](std::size_t i) { return r[i] * static_cast<float>(q[i]); });
  }
  int sum_q() const noexcept {
    int sum = 0;
    for (const int each : q) sum += each;
    return sum;
  }
  int sum_qq() const noexcept {
    int sum = 0;
    for (const int each : q) sum += each * each;
    return sum;
  }
};

template <int kMax, std::size_t N>
RoundedGroup<N> round_group(const float* x, Line line) noexcept {
  const float inverse = inverse_of(line.scale);
  RoundedGroup<N> group;
  float steps[N];
  for (std::size_t i = 0; i < N; ++i) steps[i] = (x[i] + line.min) * inverse + 0.5f;
  to_codes<kMax>(steps, group.q);
  for (std::size_t i = 0; i < N; ++i) {
    group.r[i] = x[i] + line.min - line.scale * static_cast<float>(group.q[i]);
  }
  return group;
}

struct FittedLine {
  Line line;
  float error;  ///< sum of squares, of the weights as rounded before the fit
};

/// Rounds to `line`, then finds the line with min >= 0 that suits the rounded weights best.
template <int kMax, std::size_t N>
FittedLine refit(const float* x, Line line) noexcept {
  const RoundedGroup<N> group = round_group<kMax, N>(x, line);
  const auto q = static_cast<float>(group.sum_q());
  const auto qq = static_cast<float>(group.sum_qq());
  const float r = group.sum_r();
  const float rq = group.sum_rq();
  // The changes a of scale and b of min leave the residuals r - a * q + b.
  const auto changed = [&](float a, float b) -> FittedLine {
    const float gain = 2 * (a * rq - b * r) - (a * a * qq - 2 * a * b * q + N * b * b);
    return {{line.scale + a, line.min + b}, group.error() - gain};
  };
  const float determinant = N * qq - q * q;
  if (determinant <= 0) return changed(0, 0);  // all weights on one level
  const float b = (q * rq - qq * r) / determinant;
  if (line.min + b >= 0) return changed((N * rq - q * r) / determinant, b);
  return changed((rq - line.min * q) / qq, -line.min);  // the best line through zero
}

/// The line for one group: the best of several starts, refitted until that doesn't help.
template <int kMax, std::size_t N>
Line fit_line(const float* x) noexcept {
  const float low = std::min(0.0f, *std::min_element(x, x + N));
  const float high = *std::max_element(x, x + N);
  if (high <= low) return {0, -low};
  FittedLine best = {{}, std::numeric_limits<float>::infinity()};
  const auto try_start = [&](Line start) {
    const FittedLine fitted = refit<kMax, N>(x, start);
    const bool is_better = fitted.error < best.error;
    if (is_better) best = fitted;
    return is_better;
  };
  // Levels that reach from half a step beyond the extremes to well inside, to either side.
  for (float levels = kMax - 0.5f; levels < kMax + 2; levels += 0.5f) {
    const float scale = (high - low) / levels;
    const float slack = high - low - scale * kMax;
    for (const float shift : {0.0f, 0.5f, 1.0f}) {
      try_start({scale, std::max(0.0f, -low - shift * slack)});
    }
  }
  for (int i = 0; i < 2 && try_start(best.line); ++i) {
  }
  return best.line;
}

/// Weights of a block on a line each for `kGroups` groups of N.
template <std::size_t kGroups, std::size_t N>
struct FittedLines {
  F16 d, dmin;
  std::uint8_t scales[kGroups], mins[kGroups];
  std::uint8_t codes[kGroups * N];
};

/// Fits a block's groups; scales and mins are 0 .. kMaxScale. A block with a weight that isn't
/// finite gets NaN for d and dmin.
template <int kMax, int kMaxScale, std::size_t kGroups, std::size_t N>
class LinesFit {
 public:
  static FittedLines<kGroups, N> fit(const float* values) noexcept {
    LinesFit fit;
    if (!load_weights(values, fit.x_)) return {kNaN16, kNaN16, {}, {}, {}};
    float max_scale = 0, max_min = 0;
    for (std::size_t group = 0; group < kGroups; ++group) {
      fit.lines_[group] = fit_line<kMax, N>(fit.x_ + group * N);
      max_scale = std::max(max_scale, fit.lines_[group].scale);
      max_min = std::max(max_min, fit.lines_[group].min);
    }
    const Grid first = fit.on_grid(to_scale(max_scale / kMaxScale), to_scale(max_min / kMaxScale));
    const Grid second = fit.on_grid(to_scale(first.better.scale), to_scale(first.better.min));
    return fit.rounded(second.error < first.error ? second : first);
  }

 private:
  /// The groups' lines on multiples of d and dmin.
  struct Grid {
    F16 d, dmin;
    std::array<int, kGroups> scales, mins;
    double error = 0;
    Line better;  ///< the d and dmin that suit the rounded weights best

    Line line(std::size_t group) const noexcept {
      return {to_float(d) * static_cast<float>(scales[group]),
              to_float(dmin) * static_cast<float>(mins[group])};
    }
  };

  Grid on_grid(F16 d, F16 dmin) const noexcept {
    Grid grid{d, dmin, {}, {}, 0, {}};
    // Sums over all weights for a = scale * q, b = min: changes u of d and v of dmin leave r - u *
    // a + v * b.
    double aa = 0, ab = 0, bb = 0, ra = 0, rb = 0;
    for (std::size_t group = 0; group < kGroups; ++group) {
      const RoundedGroup<N> rounded = choose(group, grid);
      const double scale = grid.scales[group], min = grid.mins[group];
      grid.error += rounded.error();
      aa += scale * scale * rounded.sum_qq();
      ab += scale * min * rounded.sum_q();
      bb += min * min * N;
      ra += scale * rounded.sum_rq();
      rb += min * rounded.sum_r();
    }
    const double determinant = aa * bb - ab * ab;
    grid.better = {to_float(d), to_float(dmin)};
    if (determinant > 0) {
      grid.better.scale += static_cast<float>((bb * ra - ab * rb) / determinant);
      grid.better.min += static_cast<float>((ab * ra - aa * rb) / determinant);
    } else if (aa > 0) {
      grid.better.scale += static_cast<float>(ra / aa);
    }
    return grid;
  }

  /// Sets a group's multiples: of the scales next to the fitted one, each with its best min, the
  /// best.
  RoundedGroup<N> choose(std::size_t group, Grid& grid) const noexcept {
    const float* x = x_ + group * N;
    const float d = to_float(grid.d), dmin = to_float(grid.dmin);
    const int nearest = multiple(lines_[group].scale, d);
    RoundedGroup<N> best;
    float best_error = std::numeric_limits<float>::infinity();
    for (int scale = std::max(0, nearest - 1); scale <= std::min(kMaxScale, nearest + 1); ++scale) {
      const Line line = {d * static_cast<float>(scale), lines_[group].min};
      const float shift = round_group<kMax, N>(x, line).sum_r() / N;
      const int min = multiple(line.min - shift, dmin);
      const auto rounded = round_group<kMax, N>(x, {line.scale, dmin * static_cast<float>(min)});
      const float error = rounded.error();
      if (error < best_error) {
        best = rounded;
        best_error = error;
        grid.scales[group] = scale;
        grid.mins[group] = min;
      }
    }
    return best;
  }

  /// The nearest multiple of `unit` that can be stored.
  static int multiple(float value, float unit) noexcept {
    return static_cast<int>(std::clamp(value * inverse_of(unit) + 0.5f, 0.0f, kMaxScale + 0.5f));
  }

  FittedLines<kGroups, N> rounded(const Grid& grid) const noexcept {
    FittedLines<kGroups, N> fitted{grid.d, grid.dmin, {}, {}, {}};
    for (std::size_t group = 0; group < kGroups; ++group) {
      fitted.scales[group] = static_cast<std::uint8_t>(grid.scales[group]);
      fitted.mins[group] = static_cast<std::uint8_t>(grid.mins[group]);
      const RoundedGroup<N> rounded = round_group<kMax, N>(x_ + group * N, grid.line(group));
      for (std::size_t i = 0; i < N; ++i) {
        fitted.codes[group * N + i] = static_cast<std::uint8_t>(rounded.q[i]);
      }
    }
    return fitted;
  }

  float x_[kGroups * N];
  std::array<Line, kGroups> lines_;
};

}  // namespace mixtral::quant::detail

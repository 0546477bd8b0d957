// Attention with an online softmax (Milakov and Gimelshein, 2018): one pass over the keys and values
// of a kv head serves all its query heads, and several tokens.
//
// A row is one query head of one token. Several rows are worked on at a time in registers, but the
// arithmetic of a row is the same whatever its neighbours: a score is summed along head_dim; the softmax
// of a unit of positions is relative to the unit's largest score; weighted values are summed position
// after position; units are merged in order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixtral/core/tensor.hpp"
#include "mixtral/kernels/cache_blocks.hpp"
#include "mixtral/kernels/elementwise.hpp"
#include "mixtral/kernels/table.hpp"

namespace mixtral::kernels {

namespace detail {

inline constexpr float kInfinity = __builtin_huge_valf();

/// Rows that one register block works on.
template <class Arch>
inline constexpr std::size_t kQueryRows = simd::kWidth<Arch> == 16 ? 12 : 6;

template <class Arch>
float exponential_of(float value) noexcept {
  float lanes[simd::kWidth<Arch>];
  simd::store<Arch>(static_cast<float*>(lanes),
                    simd::exponential<Arch>(simd::broadcast<Arch>(value)));
  return lanes[0];
}

struct Range {
  std::size_t begin, end;
};

/// The part of a unit that is attended to. Positions count from the unit's first.
struct Unit {
  const std::byte* keys;
  const std::byte* values;
  std::size_t first;  ///< the sequence's position of its first
  Range taken;
  // Bytes to what is fetched meanwhile: from the keys to the values, from the values to the next unit's
  // keys. It is fetched in order and evenly, a byte for each byte that is worked on, although every pass
  // over keys or values reads a part of all their lines.
  std::uintptr_t values_ahead, keys_ahead;
};

/// What each of R rows sees of a unit.
template <class Arch, std::size_t R>
struct Visible {
  Range rows[R];
  Range some;   ///< from the first to the last position that a row sees
  Range all;    ///< what every row sees
  Range tiles;  ///< `some`, in whole tiles

  Visible(const AttendArgs& args, std::size_t first_row, std::size_t first, Range taken) noexcept
      : some{taken.end, taken.begin}, all(taken) {
    for (std::size_t r = 0; r < R; ++r) {
      const std::size_t end = args.position + (first_row + r) / args.group + 1;
      const std::size_t begin = end > args.window ? end - args.window : 0;
      Range& row = rows[r];
      row = {begin > first + taken.begin ? begin - first : taken.begin,
             end < first + taken.end ? (end > first ? end - first : 0) : taken.end};
      if (sees(r)) {
        some.begin = row.begin < some.begin ? row.begin : some.begin;
        some.end = row.end > some.end ? row.end : some.end;
      }
      all.begin = row.begin > all.begin ? row.begin : all.begin;
      all.end = row.end < all.end ? row.end : all.end;
    }
    if (all.begin >= all.end) all = {some.end, some.end};
    tiles = {some.begin / kTileRows * kTileRows,
             (some.end + kTileRows - 1) / kTileRows * kTileRows};
  }

  bool sees(std::size_t r) const noexcept { return rows[r].begin < rows[r].end; }
  bool sees(std::size_t r, std::size_t position) const noexcept {
    return rows[r].begin <= position && position < rows[r].end;
  }
};

/// packed[d][r] = element d of query row first_row + r.
template <class Arch, std::size_t R>
void pack_queries(const AttendArgs& args, std::size_t first_row, float* packed) noexcept {
  for (std::size_t r = 0; r < R; ++r) {
    const std::size_t row = first_row + r;
    const float* query =
        args.query + row / args.group * args.token_stride + row % args.group * args.head_dim;
    for (std::size_t d = 0; d < args.head_dim; ++d) packed[d * R + r] = query[d];
  }
}

/// scores[r][first + j] = query row r . key j of a tile.
template <class Arch, class T, std::size_t R>
void score_tile(const float* packed, const std::byte* tile, std::size_t head_dim,
                std::uintptr_t ahead, std::size_t first, float (*scores)[kAttentionUnit]) noexcept {
  using Vec = simd::Vec<Arch>;
  using Block = KeyBlock<Arch, T>;
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  constexpr std::size_t kBytesAtOnce = Block::kBytes / kTileRows * 2 * kWidth;
  const std::byte* worked_on = tile;
  for (std::size_t j = 0; j < kTileRows; j += 2 * kWidth) {
    Vec sums[R][2];
    for (std::size_t r = 0; r < R; ++r) sums[r][0] = sums[r][1] = simd::broadcast<Arch>(0.0f);
    const std::byte* at = tile;
    for (std::size_t d = 0; d < head_dim; at += Block::kBytes, worked_on += kBytesAtOnce) {
      simd::prefetch<Arch, kBytesAtOnce>(worked_on, ahead);
      const Block block(at, j);
      for (std::size_t element = 0; element < Block::kElements; ++element, ++d) {
        const Vec near = block.near(element);
        const Vec far = block.far(element);
#pragma GCC unroll 12
        for (std::size_t r = 0; r < R; ++r) {
          const Vec query = simd::broadcast<Arch>(packed[d * R + r]);
          sums[r][0] = simd::multiply_add<Arch>(query, near, sums[r][0]);
          sums[r][1] = simd::multiply_add<Arch>(query, far, sums[r][1]);
        }
      }
    }
    for (std::size_t r = 0; r < R; ++r) {
      simd::store<Arch>(scores[r] + first + j, sums[r][0]);
      simd::store<Arch>(scores[r] + first + j + kWidth, sums[r][1]);
    }
  }
}

/// How a unit's values join those of the units before it: old * keep + new * add, or new alone.
struct Joining {
  bool first;
  float keep, add;
};

/// Turns the scores in `tiles`, of which those in `seen` count, into exp(score - the largest), and the
/// others into 0. Joins the unit's maximum and sum to max and sum.
template <class Arch>
Joining softmax_row(float* scores, Range tiles, Range seen, float& max, float& sum) noexcept {
  using Vec = simd::Vec<Arch>;
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  const float* from = scores;
  for (std::size_t j = tiles.begin; j < seen.begin; ++j) scores[j] = -kInfinity;
  for (std::size_t j = seen.end; j < tiles.end; ++j) scores[j] = -kInfinity;

  Vec largest = simd::broadcast<Arch>(-kInfinity);
  for (std::size_t j = tiles.begin; j < tiles.end; j += kWidth) {
    largest = simd::maximum<Arch>(largest, simd::load<Arch>(from + j));
  }
  const float unit_max = simd::max_lane<Arch>(largest);
  const Vec shift = simd::broadcast<Arch>(unit_max);
  Vec sums = simd::broadcast<Arch>(0.0f);
  for (std::size_t j = tiles.begin; j < tiles.end; j += kWidth) {
    const Vec weight = simd::exponential<Arch>(simd::load<Arch>(from + j) - shift);
    sums = sums + weight;
    simd::store<Arch>(scores + j, weight);
  }
  const float unit_sum = simd::sum<Arch>(sums);
  if (sum == 0.0f) {
    max = unit_max;
    sum = unit_sum;
    return {true, 0.0f, 1.0f};
  }
  const float new_max = unit_max > max ? unit_max : max;
  const Joining joining = {false, exponential_of<Arch>(max - new_max),
                           exponential_of<Arch>(unit_max - new_max)};
  sum = sum * joining.keep + unit_sum * joining.add;
  max = new_max;
  return joining;
}

/// The softmax of R rows over a unit, and where the weighted values go.
template <class Arch, std::size_t R>
struct Weights {
  const Visible<Arch, R>& visible;
  const float (*rows)[kAttentionUnit];
  Joining joining[R];
  float* out[R];
};

/// out[r][c] = out[r][c] * keep + add * sum over positions j of weights[r][j] * values[j][c], for C
/// vectors of columns from `column` on, which the functions given load and store.
template <class Arch, class T, std::size_t R, std::size_t C, class LoadValue, class Load, class Store>
void weigh_columns(const Weights<Arch, R>& weights, const Unit& unit, std::size_t head_dim,
                   std::size_t column, LoadValue load_value, Load load, Store store) noexcept {
  using Vec = simd::Vec<Arch>;
  using Row = ValueRow<Arch, T>;
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  const std::uintptr_t ahead = Row::bytes(kAttentionUnit * column) + unit.keys_ahead;
  Vec sums[R][C];
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t c = 0; c < C; ++c) sums[r][c] = simd::broadcast<Arch>(0.0f);
  }
  const auto add = [&](std::size_t j, auto sees) {
    const Row row(unit.values + j * Row::bytes(head_dim), column);
    simd::prefetch<Arch, Row::bytes(C * kWidth)>(unit.values, ahead + j * Row::bytes(C * kWidth));
    Vec value[C];
    for (std::size_t c = 0; c < C; ++c) value[c] = load_value(row, c * kWidth);
#pragma GCC unroll 12
    for (std::size_t r = 0; r < R; ++r) {
      if (!sees(r)) continue;
      const Vec weight = simd::broadcast<Arch>(weights.rows[r][j]);
      for (std::size_t c = 0; c < C; ++c) {
        sums[r][c] = simd::multiply_add<Arch>(weight, value[c], sums[r][c]);
      }
    }
  };
  // A row never meets a value that it doesn't see: 0 times infinity would show.
  const Visible<Arch, R>& visible = weights.visible;
  const auto add_edge = [&](std::size_t j) {
    add(j, [&](std::size_t r) { return visible.sees(r, j); });
  };
  for (std::size_t j = visible.some.begin; j < visible.all.begin; ++j) add_edge(j);
  for (std::size_t j = visible.all.begin; j < visible.all.end; ++j) {
    add(j, [](std::size_t) { return true; });
  }
  for (std::size_t j = visible.all.end; j < visible.some.end; ++j) add_edge(j);

  for (std::size_t r = 0; r < R; ++r) {
    if (!visible.sees(r)) continue;
    const Joining& joining = weights.joining[r];
    for (std::size_t c = 0; c < C; ++c) {
      float* out = weights.out[r] + column + c * kWidth;
      if (!joining.first) {
        sums[r][c] = simd::multiply_add<Arch>(simd::broadcast<Arch>(joining.add), sums[r][c],
                                              load(out) * simd::broadcast<Arch>(joining.keep));
      }
      store(out, sums[r][c]);
    }
  }
}

template <class Arch, class T, std::size_t R>
void weigh_values(const Weights<Arch, R>& weights, const Unit& unit,
                  std::size_t head_dim) noexcept {
  using Vec = simd::Vec<Arch>;
  using Row = ValueRow<Arch, T>;
  constexpr std::size_t kWidth = simd::kWidth<Arch>;
  const auto load_value = [](const Row& row, std::size_t i) { return row.load(i); };
  const auto load = [](const float* from) { return simd::load<Arch>(from); };
  const auto store = [](float* to, Vec v) { simd::store<Arch>(to, v); };
  std::size_t d = 0;
  for (; d + 2 * kWidth <= head_dim; d += 2 * kWidth) {
    weigh_columns<Arch, T, R, 2>(weights, unit, head_dim, d, load_value, load, store);
  }
  if constexpr (KeyBlock<Arch, T>::kElements % (2 * kWidth) != 0) {  // else blocks leave no rest
    for (; d + kWidth <= head_dim; d += kWidth) {
      weigh_columns<Arch, T, R, 1>(weights, unit, head_dim, d, load_value, load, store);
    }
    if (const std::size_t rest = head_dim - d; rest > 0) {
      weigh_columns<Arch, T, R, 1>(
          weights, unit, head_dim, d,
          [rest](const Row& row, std::size_t) { return row.load_partial(rest); },
          [rest](const float* from) { return simd::load_partial<Arch>(from, rest); },
          [rest](float* to, Vec v) { simd::store_partial<Arch>(to, v, rest); });
    }
  }
}

/// R rows over one unit.
template <class Arch, class T, std::size_t R>
void attend_unit(const AttendArgs& args, std::size_t first_row, const Unit& unit) noexcept {
  const Visible<Arch, R> visible(args, first_row, unit.first, unit.taken);
  if (visible.some.begin >= visible.some.end) return;
  alignas(64) float scores[R][kAttentionUnit];
  const float* packed = args.packed + first_row * args.head_dim;
  const std::size_t row_bytes = ValueRow<Arch, T>::bytes(args.head_dim);
  for (std::size_t j = visible.tiles.begin; j < visible.tiles.end; j += kTileRows) {
    score_tile<Arch, T, R>(packed, unit.keys + j * row_bytes, args.head_dim, unit.values_ahead, j,
                           scores);
  }
  Weights<Arch, R> weights{visible, scores, {}, {}};
  for (std::size_t r = 0; r < R; ++r) {
    const std::size_t row = first_row + r;
    weights.out[r] = args.state.values + row / args.group * args.token_stride +
                     row % args.group * args.head_dim;
    if (visible.sees(r)) {
      weights.joining[r] = softmax_row<Arch>(scores[r], visible.tiles, visible.rows[r],
                                             args.state.max[row], args.state.sum[row]);
    }
  }
  weigh_values<Arch, T, R>(weights, unit, args.head_dim);
}

/// Calls f<R>(row) for the first row of each block of R rows, then of smaller ones, up to `n_rows`.
template <class Arch, std::size_t R, class F>
void for_row_blocks(std::size_t row, std::size_t n_rows, F f) noexcept {
  for (; row + R <= n_rows; row += R) f.template operator()<R>(row);
  if constexpr (R > 1) for_row_blocks<Arch, R == 6 ? 4 : R / 2>(row, n_rows, f);
}

template <class Arch, class F>
void for_row_blocks(const AttendArgs& args, F f) noexcept {
  for_row_blocks<Arch, kQueryRows<Arch>>(0, args.n_tokens * args.group, f);
}

/// The unit that holds position `begin`, up to position `end`.
template <class Arch>
Unit unit_at(const AttendArgs& args, std::size_t begin, std::size_t end) noexcept {
  const std::size_t index = begin / kAttentionUnit;
  const std::size_t first = index * kAttentionUnit;
  const std::byte* keys = args.keys + index * args.unit_stride;
  const std::byte* values = args.values + index * args.unit_stride;
  const auto address = [](const std::byte* at) { return reinterpret_cast<std::uintptr_t>(at); };
  return {.keys = keys,
          .values = values,
          .first = first,
          .taken = {begin - first, end - first},
          .values_ahead = address(values) - address(keys),
          .keys_ahead = end < args.end ? address(keys) + args.unit_stride - address(values) : 0};
}

/// The state of rows that have seen nothing.
inline __attribute__((always_inline)) void reset(const AttentionState& state, std::size_t n_rows) noexcept {
  for (std::size_t row = 0; row < n_rows; ++row) {
    state.max[row] = -kInfinity;
    state.sum[row] = 0.0f;
  }
}

}  // namespace detail

/// The units of [args.begin, args.end) in order, each for all rows.
template <class Arch, class T>
void attend(const AttendArgs& all) noexcept {
  AttendArgs args = all;  // whose state moves on
  const std::size_t n_rows = args.n_tokens * args.group;
  detail::reset(args.state, n_rows);
  detail::for_row_blocks<Arch>(args, [&]<std::size_t R>(std::size_t row) {
    detail::pack_queries<Arch, R>(args, row, args.packed + row * args.head_dim);
  });
  std::size_t end;
  for (std::size_t begin = args.begin; begin < args.end; begin = end) {
    const std::size_t unit_end = (begin / kAttentionUnit + 1) * kAttentionUnit;
    end = args.end < unit_end ? args.end : unit_end;
    detail::Unit unit = detail::unit_at<Arch>(args, begin, end);
    detail::for_row_blocks<Arch>(args, [&]<std::size_t R>(std::size_t row) {
      detail::attend_unit<Arch, T, R>(args, row, unit);
      unit.values_ahead = unit.keys_ahead = 0;  // later rows find everything in the cache
    });
    if (args.state_stride == 0 || end == args.end) continue;
    args.state.max += args.state_stride;
    args.state.sum += args.state_stride;
    args.state.values += args.state_stride;
    detail::reset(args.state, n_rows);
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

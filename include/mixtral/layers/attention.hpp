// Causal grouped-query attention over a key/value cache.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>

#include "mixtral/layers/linear.hpp"
#include "mixtral/layers/rotary.hpp"
#include "mixtral/layers/kv_cache.hpp"

namespace mixtral {

/// Where one token of a batch stands: its sequence's cache and its position there.
struct TokenPlace {
  KvCache* cache;
  std::size_t position;
};

/// Dimensions of grouped-query attention.
struct AttentionShape {
  std::size_t n_heads;
  std::size_t n_kv_heads;
  std::size_t head_dim;
  std::optional<std::size_t> sliding_window;
  RotaryOrder rotary_order = RotaryOrder::half_split;  // of the rows of queries and keys

  std::size_t group() const noexcept { return n_heads / n_kv_heads; }
  std::size_t q_dim() const noexcept { return n_heads * head_dim; }
  std::size_t kv_dim() const noexcept { return n_kv_heads * head_dim; }
  /// Elements of a group's AttentionState: maxima, sums and values.
  std::size_t state_size() const noexcept { return group() * (head_dim + 2); }
};

/// Scratch of Attention::forward for at most `max_tokens` tokens over caches of at most `n_ctx`
/// positions.
struct AttentionScratch {
  AttentionScratch(std::size_t max_tokens, std::size_t n_ctx, const AttentionShape& shape,
                   std::size_t n_threads)
      : max_tile(std::min(max_tokens, std::max(kTileQueries / shape.group(), std::size_t{1}))),
        max_units(n_ctx / kAttentionUnit + 1),
        max_split_heads(std::min(max_tokens * shape.n_kv_heads, 4 * n_threads)),
        queries(max_tokens * shape.q_dim()),
        keys(max_tokens * shape.kv_dim()),
        values(max_tokens * shape.kv_dim()),
        out(max_tokens * shape.q_dim()),
        cos(max_tokens * shape.head_dim / 2),
        sin(max_tokens * shape.head_dim / 2),
        heads(n_threads * shape.head_dim),
        packed(n_threads * max_tile * shape.group() * shape.head_dim),
        tile_states(n_threads * 2 * max_tile * shape.group()),
        unit_states(max_split_heads * max_units * shape.state_size()),
        runs_left(max_split_heads),
        narrowed(max_tokens, shape.q_dim()) {}

  std::size_t bytes() const noexcept {
    return queries.bytes() + keys.bytes() + values.bytes() + out.bytes() + cos.bytes() +
           sin.bytes() + heads.bytes() + packed.bytes() + tile_states.bytes() +
           unit_states.bytes() + runs_left.bytes() + narrowed.bytes();
  }

  /// Query rows of one task: enough to read a unit of the cache, which they share, from the L2 cache.
  static constexpr std::size_t kTileQueries = 96;

  std::size_t max_tile;               // tokens of one task
  std::size_t max_units;              // that one position sees
  std::size_t max_split_heads;        // (token, kv head) pairs that are split over workers
  AlignedBuffer<float> queries;       // [n_tokens, n_heads, head_dim]
  AlignedBuffer<float> keys;          // [n_tokens, n_kv_heads, head_dim]
  AlignedBuffer<float> values;        // [n_tokens, n_kv_heads, head_dim]
  AlignedBuffer<float> out;           // [n_tokens, n_heads, head_dim]
  AlignedBuffer<float> cos;           // [n_tokens, head_dim / 2]
  AlignedBuffer<float> sin;           // [n_tokens, head_dim / 2]
  AlignedBuffer<float> heads;         // [n_threads, head_dim] one head on its way
  AlignedBuffer<float> packed;        // [n_threads, max_tile, group, head_dim]
  AlignedBuffer<float> tile_states;   // [n_threads, max and sum, max_tile, group]
  AlignedBuffer<float> unit_states;   // [max_split_heads, max_units, shape.state_size()]
  AlignedBuffer<std::size_t> runs_left;  // [max_split_heads] tasks of a pair that haven't finished
  ActivationBuffer narrowed;          // [n_tokens, n_heads, head_dim] as the output projection wants them
};

/// Projections, rotary embedding, softmax(q k^T / sqrt(head_dim)) v, and the output projection.
class Attention {
 public:
  Attention(Linear query, Linear key, Linear value, Linear output, const AttentionShape& shape)
      : query_(query), key_(key), value_(value), output_(output), shape_(shape) {}

  /// The form in which `forward` wants its input.
  ActivationForm input_form(const Compute& compute) const noexcept {
    const std::array weights = {query_.weight(), key_.weight(), value_.weight()};
    return compute.activation_form(weights);
  }

  /// input [n_tokens, hidden] -> out [n_tokens, hidden]. Writes each token's key and value to its
  /// place in the cache's `layer`; scratch.cos and scratch.sin hold the angles of the places. Tokens
  /// of one cache stand together, at consecutive positions.
  void forward(ActivationView input, std::span<const TokenPlace> places, std::size_t layer,
               const Compute& compute, AttentionScratch& scratch, MatrixView<float> out) const {
    run_linear(std::array{query_job(input, scratch), key_job(input, scratch), value_job(input, scratch)}, compute);
    compute.executor.run(places.size(), [&](std::size_t token, std::size_t worker) {
      rotate_queries(token, worker, compute, scratch);
      store_token(places[token], token, layer, worker, compute, scratch);
    });
    attend(places, layer, compute, scratch);
    const std::array weights = {output_.weight()};
    const ActivationView heads =
        scratch.narrowed.view(compute.activation_form(weights), places.size(), shape_.q_dim());
    compute.executor.run(places.size(), [&](std::size_t t, std::size_t) {
      heads.set_row(t, scratch.out.data() + t * shape_.q_dim(), compute.kernels);
    });
    output_.forward(heads, compute, out);
  }

  /// The part of `forward` that writes keys and values.
  void store(ActivationView input, std::span<const TokenPlace> places, std::size_t layer,
             const Compute& compute, AttentionScratch& scratch) const {
    run_linear(std::array{key_job(input, scratch), value_job(input, scratch)}, compute);
    compute.executor.run(places.size(), [&](std::size_t token, std::size_t worker) {
      store_token(places[token], token, layer, worker, compute, scratch);
    });
  }

 private:
  LinearJob query_job(ActivationView input, AttentionScratch& scratch) const {
    return {query_.weight(), input, {}, {scratch.queries.data(), input.rows, shape_.q_dim()}};
  }
  LinearJob key_job(ActivationView input, AttentionScratch& scratch) const {
    return {key_.weight(), input, {}, {scratch.keys.data(), input.rows, shape_.kv_dim()}};
  }
  LinearJob value_job(ActivationView input, AttentionScratch& scratch) const {
    return {value_.weight(), input, {}, {scratch.values.data(), input.rows, shape_.kv_dim()}};
  }

  void rotate_queries(std::size_t token, std::size_t worker, const Compute& compute,
                      AttentionScratch& scratch) const noexcept {
    const float scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dim));
    float* queries = scratch.queries.data() + token * shape_.q_dim();
    for (std::size_t h = 0; h < shape_.n_heads; ++h) {
      rotate(queries + h * shape_.head_dim, token, worker, compute, scratch);
    }
    compute.kernels.multiply(scale, shape_.q_dim(), queries);
  }

  void store_token(const TokenPlace& place, std::size_t token, std::size_t layer, std::size_t worker,
                   const Compute& compute, AttentionScratch& scratch) const noexcept {
    const auto [cache, position] = place;
    const auto narrow = compute.kernels.narrow[static_cast<std::size_t>(cache->dtype())];
    // The key in the cache's type.
    auto* const row = reinterpret_cast<std::byte*>(scratch.heads.data() + worker * shape_.head_dim);
    for (std::size_t h = 0; h < shape_.n_kv_heads; ++h) {
      const std::size_t head = token * shape_.kv_dim() + h * shape_.head_dim;
      float* key = scratch.keys.data() + head;
      rotate(key, token, worker, compute, scratch);
      narrow(key, shape_.head_dim, row);
      cache->set_key(layer, h, position, row);
      narrow(scratch.values.data() + head, shape_.head_dim, cache->value(layer, h, position));
    }
  }

  /// Rotates a head of token `token`.
  void rotate(float* head, std::size_t token, std::size_t worker, const Compute& compute,
              AttentionScratch& scratch) const noexcept {
    const std::size_t half = shape_.head_dim / 2;
    split_halves(head, scratch.heads.data() + worker * shape_.head_dim);
    compute.kernels.rope(head, scratch.cos.data() + token * half, scratch.sin.data() + token * half, half);
  }

  /// Puts the elements of a head, as the weights' rows gave them, in half-split order.
  void split_halves(float* head, float* spare) const noexcept {
    if (shape_.rotary_order == RotaryOrder::half_split) return;
    const std::size_t half = shape_.head_dim / 2;
    std::copy_n(head, shape_.head_dim, spare);
    for (std::size_t p = 0; p < half; ++p) {
      head[p] = spare[2 * p];
      head[p + half] = spare[2 * p + 1];
    }
  }

  std::size_t window() const noexcept {
    return shape_.sliding_window.value_or(std::numeric_limits<std::size_t>::max());
  }

  /// First position that a query at `position` sees.
  std::size_t first_visible(std::size_t position) const noexcept {
    return position + 1 > window() ? position + 1 - window() : 0;
  }

  std::size_t n_units(std::size_t position) const noexcept {
    return position / kAttentionUnit - first_visible(position) / kAttentionUnit + 1;
  }

  /// Many (token, head) pairs keep all workers busy by themselves; few long ones are split.
  void attend(std::span<const TokenPlace> places, std::size_t layer, const Compute& compute,
              AttentionScratch& scratch) const {
    const std::size_t pairs = places.size() * shape_.n_kv_heads;
    std::size_t units = 1;
    for (const TokenPlace& place : places) units = std::max(units, n_units(place.position));
    if (units == 1 || pairs > scratch.max_split_heads || compute.executor.n_threads() == 1) {
      attend_tiles(places, layer, compute, scratch);
    } else {
      attend_units(places, layer, units, compute, scratch);
    }
  }

  /// What all calls of the kernel for `n_tokens` tokens from `token` on have in common; the results
  /// go to their place in scratch.out.
  AttendArgs arguments(std::span<const TokenPlace> places, std::size_t token, std::size_t n_tokens,
                       std::size_t layer, std::size_t kv_head, std::size_t worker,
                       AttentionScratch& scratch) const noexcept {
    const auto [cache, position] = places[token];
    const std::size_t first_head =
        token * shape_.q_dim() + kv_head * shape_.group() * shape_.head_dim;
    const std::size_t rows = scratch.max_tile * shape_.group();
    float* max = scratch.tile_states.data() + worker * 2 * rows;
    return {
        .query = scratch.queries.data() + first_head,
        .keys = cache->keys(layer, kv_head),
        .values = cache->values(layer, kv_head),
        .unit_stride = cache->unit_stride(),
        .n_tokens = n_tokens,
        .group = shape_.group(),
        .head_dim = shape_.head_dim,
        .token_stride = shape_.q_dim(),
        .position = position,
        .window = window(),
        .begin = first_visible(position),
        .end = position + n_tokens,
        .packed = scratch.packed.data() + worker * rows * shape_.head_dim,
        .state = {max, max + rows, scratch.out.data() + first_head},
        .state_stride = 0,
    };
  }

  static auto kernel_of(const TokenPlace& place, const Compute& compute) noexcept {
    return compute.kernels.attend[static_cast<std::size_t>(place.cache->dtype())];
  }

  /// One task per (kv head, tile of tokens). Tokens of one sequence share a pass over its cache.
  void attend_tiles(std::span<const TokenPlace> places, std::size_t layer, const Compute& compute,
                    AttentionScratch& scratch) const {
    const std::size_t wanted_tasks = 4 * compute.executor.n_threads();
    const std::size_t pairs = places.size() * shape_.n_kv_heads;
    const std::size_t tile = std::min(scratch.max_tile, pairs / wanted_tasks + 1);
    const std::size_t n_tiles = (places.size() + tile - 1) / tile;
    compute.executor.run(
        shape_.n_kv_heads * n_tiles, [&](std::size_t task, std::size_t worker) {
          const std::size_t kv_head = task / n_tiles;
          // The last tokens see most: they begin.
          const std::size_t begin = (n_tiles - 1 - task % n_tiles) * tile;
          const std::size_t end = std::min(begin + tile, places.size());
          std::size_t next;
          for (std::size_t token = begin; token < end; token = next) {
            next = token + 1;
            while (next < end && places[next].cache == places[token].cache) ++next;
            const AttendArgs args =
                arguments(places, token, next - token, layer, kv_head, worker, scratch);
            kernel_of(places[token], compute)(args);
            for (std::size_t t = 0; t < next - token; ++t) {
              finish(args.state.sum + t * shape_.group(),
                     args.state.values + t * shape_.q_dim(), compute);
            }
          }
        });
  }

  /// One task per some units of a (token, kv head). Whoever finishes the last one of a pair merges all its units.
  void attend_units(std::span<const TokenPlace> places, std::size_t layer, std::size_t units,
                    const Compute& compute, AttentionScratch& scratch) const {
    const std::size_t pairs = places.size() * shape_.n_kv_heads;
    // A worker fetches the next unit while it works on one: neighbours should have one worker.
    const std::size_t run = std::max(pairs * units / (16 * compute.executor.n_threads()),
                                     std::size_t{1});
    const std::size_t runs = (units + run - 1) / run;
    std::fill_n(scratch.runs_left.data(), pairs, runs);
    compute.executor.run(pairs * runs, [&](std::size_t task, std::size_t worker) {
      const std::size_t pair = task / runs;
      const std::size_t token = pair / shape_.n_kv_heads;
      const std::size_t unit = task % runs * run;
      const std::size_t taken = n_units(places[token].position);
      AttendArgs args = arguments(places, token, 1, layer, pair % shape_.n_kv_heads, worker, scratch);
      float* const out = args.state.values;
      if (unit < taken) {
        const std::size_t first = args.begin / kAttentionUnit + unit;
        args.begin = std::max(args.begin, first * kAttentionUnit);
        args.end = std::min(args.end, (first + run) * kAttentionUnit);
        args.state = unit_state(pair, unit, scratch);
        args.state_stride = shape_.state_size();
        kernel_of(places[token], compute)(args);
      }
      std::atomic_ref left(scratch.runs_left.data()[pair]);
      if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) merge_units(pair, taken, compute, scratch, out);
    });
  }

  AttentionState unit_state(std::size_t pair, std::size_t unit, AttentionScratch& scratch) const noexcept {
    float* max = scratch.unit_states.data() + (pair * scratch.max_units + unit) * shape_.state_size();
    return {max, max + shape_.group(), max + 2 * shape_.group()};
  }

  /// Merges the first `units` of a pair, in the order of attend_tiles, and finishes its values in `out`.
  void merge_units(std::size_t pair, std::size_t units, const Compute& compute, AttentionScratch& scratch,
                   float* out) const noexcept {
    const AttentionState whole = unit_state(pair, 0, scratch);
    for (std::size_t unit = 1; unit < units; ++unit) {
      compute.kernels.merge(unit_state(pair, unit, scratch), shape_.group(), shape_.head_dim, whole);
    }
    std::copy_n(whole.values, shape_.group() * shape_.head_dim, out);
    finish(whole.sum, out, compute);
  }

  /// Divides a token's values by the softmax's denominators.
  void finish(const float* sums, float* values, const Compute& compute) const noexcept {
    for (std::size_t g = 0; g < shape_.group(); ++g) {
      compute.kernels.multiply(1.0f / sums[g], shape_.head_dim, values + g * shape_.head_dim);
    }
  }

  Linear query_, key_, value_, output_;
  AttentionShape shape_;
};

}  // namespace mixtral

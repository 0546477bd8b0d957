// Causal grouped-query attention over a key/value cache.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
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

  std::size_t group() const noexcept { return n_heads / n_kv_heads; }
  std::size_t q_dim() const noexcept { return n_heads * head_dim; }
  std::size_t kv_dim() const noexcept { return n_kv_heads * head_dim; }
};

/// Scratch of Attention::forward for at most `max_tokens` tokens over caches of at most `n_ctx`
/// positions.
struct AttentionScratch {
  /// Positions whose softmax is computed as one unit. Units begin at its multiples, so that the
  /// arithmetic of a position doesn't depend on how the work was shared out.
  static constexpr std::size_t kSplit = 256;

  AttentionScratch(std::size_t max_tokens, std::size_t n_ctx, const AttentionShape& shape,
                   std::size_t n_threads)
      : state_size(shape.group() * (shape.head_dim + 2)),
        max_splits(n_ctx / kSplit + 1),
        max_split_heads(std::min(max_tokens * shape.n_kv_heads, 4 * n_threads)),
        queries(max_tokens * shape.q_dim()),
        keys(max_tokens * shape.kv_dim()),
        values(max_tokens * shape.kv_dim()),
        out(max_tokens * shape.q_dim()),
        cos(max_tokens * shape.head_dim / 2),
        sin(max_tokens * shape.head_dim / 2),
        worker_states(n_threads * 2 * state_size),
        split_states(max_split_heads * max_splits * state_size),
        narrowed(max_tokens, shape.q_dim()) {}

  std::size_t bytes() const noexcept {
    return queries.bytes() + keys.bytes() + values.bytes() + out.bytes() + cos.bytes() +
           sin.bytes() + worker_states.bytes() + split_states.bytes() + narrowed.bytes();
  }

  std::size_t state_size;               // elements of one AttentionState
  std::size_t max_splits;               // of one position
  std::size_t max_split_heads;          // (token, kv head) pairs that are split over workers
  AlignedBuffer<float> queries;         // [n_tokens, n_heads, head_dim]
  AlignedBuffer<float> keys;            // [n_tokens, n_kv_heads, head_dim]
  AlignedBuffer<float> values;          // [n_tokens, n_kv_heads, head_dim]
  AlignedBuffer<float> out;             // [n_tokens, n_heads, head_dim]
  AlignedBuffer<float> cos;             // [n_tokens, head_dim / 2]
  AlignedBuffer<float> sin;             // [n_tokens, head_dim / 2]
  AlignedBuffer<float> worker_states;   // [n_threads, 2, state_size]
  AlignedBuffer<float> split_states;    // [max_split_heads, max_splits, state_size]
  ActivationBuffer narrowed;            // [n_tokens, n_heads, head_dim] as the output projection wants them
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
  /// place in the cache's `layer`; scratch.cos and scratch.sin hold the angles of the places.
  void forward(ActivationView input, std::span<const TokenPlace> places, std::size_t layer,
               const Compute& compute, AttentionScratch& scratch, MatrixView<float> out) const {
    project(input, compute, scratch);
    rotate_and_store(places, layer, compute, scratch);
    attend(places, layer, compute, scratch);
    const std::array weights = {output_.weight()};
    const ActivationView heads =
        scratch.narrowed.view(compute.activation_form(weights), places.size(), shape_.q_dim());
    compute.executor.run(places.size(), [&](std::size_t t, std::size_t) {
      heads.set_row(t, scratch.out.data() + t * shape_.q_dim(), compute.kernels);
    });
    output_.forward(heads, compute, out);
  }

 private:
  void project(ActivationView input, const Compute& compute, AttentionScratch& scratch) const {
    const std::size_t n = input.rows;
    const std::array jobs = {
        LinearJob{query_.weight(), input, {}, {scratch.queries.data(), n, shape_.q_dim()}},
        LinearJob{key_.weight(), input, {}, {scratch.keys.data(), n, shape_.kv_dim()}},
        LinearJob{value_.weight(), input, {}, {scratch.values.data(), n, shape_.kv_dim()}},
    };
    run_linear(jobs, compute);
  }

  void rotate_and_store(std::span<const TokenPlace> places, std::size_t layer,
                        const Compute& compute, AttentionScratch& scratch) const {
    const KernelTable& kernels = compute.kernels;
    const std::size_t half = shape_.head_dim / 2;
    const float scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dim));
    compute.executor.run(places.size(), [&](std::size_t token, std::size_t) {
      const float* cos = scratch.cos.data() + token * half;
      const float* sin = scratch.sin.data() + token * half;
      float* queries = scratch.queries.data() + token * shape_.q_dim();
      for (std::size_t h = 0; h < shape_.n_heads; ++h) {
        kernels.rope(queries + h * shape_.head_dim, cos, sin, half);
      }
      kernels.multiply(scale, shape_.q_dim(), queries);

      const auto [cache, position] = places[token];
      const auto dtype = static_cast<std::size_t>(cache->dtype());
      const std::size_t offset = position * shape_.head_dim * size_of(cache->dtype());
      for (std::size_t h = 0; h < shape_.n_kv_heads; ++h) {
        const std::size_t head = token * shape_.kv_dim() + h * shape_.head_dim;
        float* key = scratch.keys.data() + head;
        kernels.rope(key, cos, sin, half);
        kernels.narrow[dtype](key, shape_.head_dim, cache->keys(layer, h) + offset);
        kernels.narrow[dtype](scratch.values.data() + head, shape_.head_dim,
                              cache->values(layer, h) + offset);
      }
    });
  }

  /// First position that a query at `position` sees.
  std::size_t first_visible(std::size_t position) const noexcept {
    const std::size_t window = shape_.sliding_window.value_or(position + 1);
    return position + 1 > window ? position + 1 - window : 0;
  }

  std::size_t n_splits(std::size_t position) const noexcept {
    return position / AttentionScratch::kSplit -
           first_visible(position) / AttentionScratch::kSplit + 1;
  }

  AttentionState state_at(float* memory) const noexcept {
    return {memory, memory + shape_.group(), memory + 2 * shape_.group()};
  }

  /// Many (token, head) pairs keep all workers busy by themselves; few long ones are split.
  void attend(std::span<const TokenPlace> places, std::size_t layer, const Compute& compute,
              AttentionScratch& scratch) const {
    const std::size_t pairs = places.size() * shape_.n_kv_heads;
    std::size_t splits = 1;
    for (const TokenPlace& place : places) splits = std::max(splits, n_splits(place.position));
    if (splits == 1 || pairs > scratch.max_split_heads || compute.executor.n_threads() == 1) {
      attend_whole(places, layer, compute, scratch);
    } else {
      attend_split(places, layer, splits, compute, scratch);
    }
  }

  /// The state of the `split`-th unit of positions that the token sees.
  void attend_unit(const TokenPlace& place, std::size_t layer, std::size_t kv_head,
                   std::size_t split, const float* query, const Compute& compute,
                   AttentionState state) const noexcept {
    constexpr std::size_t kSplit = AttentionScratch::kSplit;
    const std::size_t first = first_visible(place.position);
    const std::size_t unit = first / kSplit + split;
    compute.kernels.attend[static_cast<std::size_t>(place.cache->dtype())]({
        .query = query,
        .keys = place.cache->keys(layer, kv_head),
        .values = place.cache->values(layer, kv_head),
        .group = shape_.group(),
        .head_dim = shape_.head_dim,
        .begin = std::max(first, unit * kSplit),
        .end = std::min(place.position + 1, (unit + 1) * kSplit),
        .state = state,
    });
  }

  /// One task per (kv head, token); neighbouring tasks read the same keys and values.
  void attend_whole(std::span<const TokenPlace> places, std::size_t layer, const Compute& compute,
                    AttentionScratch& scratch) const {
    compute.executor.run(
        places.size() * shape_.n_kv_heads, [&](std::size_t task, std::size_t worker) {
          const std::size_t kv_head = task / places.size();
          const std::size_t token = task % places.size();
          float* memory = scratch.worker_states.data() + worker * 2 * scratch.state_size;
          const AttentionState state = state_at(memory);
          const AttentionState later = state_at(memory + scratch.state_size);
          const float* query = query_of(token, kv_head, scratch);
          attend_unit(places[token], layer, kv_head, 0, query, compute, state);
          for (std::size_t s = 1; s < n_splits(places[token].position); ++s) {
            attend_unit(places[token], layer, kv_head, s, query, compute, later);
            compute.kernels.merge(later, shape_.group(), shape_.head_dim, state);
          }
          finish(state, token, kv_head, compute, scratch);
        });
  }

  /// One task per (token, kv head, unit); the units are merged in the order of attend_whole.
  void attend_split(std::span<const TokenPlace> places, std::size_t layer, std::size_t splits,
                    const Compute& compute, AttentionScratch& scratch) const {
    const auto state_of = [&](std::size_t pair, std::size_t split) {
      return state_at(scratch.split_states.data() +
                      (pair * scratch.max_splits + split) * scratch.state_size);
    };
    const std::size_t pairs = places.size() * shape_.n_kv_heads;
    compute.executor.run(pairs * splits, [&](std::size_t task, std::size_t) {
      const std::size_t pair = task / splits;
      const std::size_t token = pair / shape_.n_kv_heads;
      const std::size_t kv_head = pair % shape_.n_kv_heads;
      if (task % splits >= n_splits(places[token].position)) return;
      attend_unit(places[token], layer, kv_head, task % splits,
                  query_of(token, kv_head, scratch), compute, state_of(pair, task % splits));
    });
    for (std::size_t pair = 0; pair < pairs; ++pair) {
      const std::size_t token = pair / shape_.n_kv_heads;
      for (std::size_t s = 1; s < n_splits(places[token].position); ++s) {
        compute.kernels.merge(state_of(pair, s), shape_.group(), shape_.head_dim,
                              state_of(pair, 0));
      }
      finish(state_of(pair, 0), token, pair % shape_.n_kv_heads, compute, scratch);
    }
  }

  const float* query_of(std::size_t token, std::size_t kv_head,
                        const AttentionScratch& scratch) const noexcept {
    return scratch.queries.data() + token * shape_.q_dim() +
           kv_head * shape_.group() * shape_.head_dim;
  }

  /// Divides by the softmax's denominator and puts the heads in their place.
  void finish(AttentionState state, std::size_t token, std::size_t kv_head, const Compute& compute,
              AttentionScratch& scratch) const noexcept {
    float* out = scratch.out.data() + token * shape_.q_dim() +
                 kv_head * shape_.group() * shape_.head_dim;
    std::copy_n(state.values, shape_.group() * shape_.head_dim, out);
    for (std::size_t g = 0; g < shape_.group(); ++g) {
      compute.kernels.multiply(1.0f / state.sum[g], shape_.head_dim, out + g * shape_.head_dim);
    }
  }

  Linear query_, key_, value_, output_;
  AttentionShape shape_;
};

}  // namespace mixtral

// The sparse mixture of SwiGLU experts (Jiang et al., Mixtral of Experts, 2024).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "mixtral/layers/linear.hpp"
#include "mixtral/layers/router.hpp"

namespace mixtral {

/// From this many tokens on, those of an expert are copied to lie side by side: a gather over more of them misses
/// the L1 cache, and copying costs next to nothing.
inline constexpr std::size_t kMinCopiedTokens = 64;

/// Expert(x) = down( silu(gate x) * (up x) ).
struct Expert {
  WeightView gate;  ///< w1 [ffn, hidden]
  WeightView up;    ///< w3 [ffn, hidden]
  WeightView down;  ///< w2 [hidden, ffn]
};

/// One expert's share of a batch: its slots.
struct ExpertJob {
  const Expert* expert;
  std::size_t begin;  // first slot
  std::size_t count;
};

/// Scratch of Moe::forward for at most `max_tokens` tokens.
///
/// Each (token, chosen expert) pair is a slot; slots are sorted by expert, so that the tokens of one
/// expert form one matrix and its weights are read once.
struct MoeScratch {
  MoeScratch(std::size_t max_tokens, std::size_t hidden, std::size_t ffn, std::size_t n_experts,
             std::size_t top_k, std::size_t n_threads)
      : experts(max_tokens * top_k),
        weights(max_tokens * top_k),
        slot_of(max_tokens * top_k),
        token_of(max_tokens * top_k),
        slots_end(n_experts),
        router_logits(max_tokens * n_experts),
        expert_in(max_tokens < kMinCopiedTokens ? ActivationBuffer()
                                                : ActivationBuffer(max_tokens * top_k, hidden)),
        expert_hidden(max_tokens * top_k, ffn),
        expert_out(max_tokens * top_k * hidden),
        tile_elements(detail::kMaxTileRows * max_tokens),
        tiles(n_threads * 2 * tile_elements) {
    jobs.reserve(n_experts);
    down_jobs.reserve(n_experts);
  }

  std::size_t bytes() const noexcept {
    return expert_in.bytes() + expert_hidden.bytes() + expert_out.bytes() + tiles.bytes();
  }

  std::vector<std::uint32_t> experts;   // [n_tokens, top_k] best first
  std::vector<float> weights;           // [n_tokens, top_k]
  std::vector<std::uint32_t> slot_of;   // [n_tokens, top_k] slot of each choice
  std::vector<std::uint32_t> token_of;  // [n_slots] token of each slot
  std::vector<std::size_t> slots_end;   // [n_experts] end of each expert's slots
  AlignedBuffer<float> router_logits;   // [n_tokens, n_experts]
  ActivationBuffer expert_in;           // [n_slots, hidden]
  ActivationBuffer expert_hidden;       // [n_slots, ffn]
  AlignedBuffer<float> expert_out;      // [n_slots, hidden]
  std::size_t tile_elements;            // of one gate or up tile
  AlignedBuffer<float> tiles;           // [n_threads, 2, n_tokens, tile rows]
  std::vector<ExpertJob> jobs;          // one per expert in use
  std::vector<LinearJob> down_jobs;     // likewise
};

/// Routes each token to its experts and adds their weighted outputs to the residual stream.
class Moe {
 public:
  Moe(Router router, std::vector<Expert> experts, std::size_t top_k)
      : router_(router), experts_(std::move(experts)), top_k_(top_k) {
    for (const Expert& expert : experts_) {
      inner_.push_back(expert.gate);
      inner_.push_back(expert.up);
      outer_.push_back(expert.down);
    }
  }

  std::size_t top_k() const noexcept { return top_k_; }

  /// The form in which `forward` wants its input.
  ActivationForm input_form(const Compute& compute) const noexcept {
    return compute.activation_form(inner_);
  }

  /// Chooses the experts of token `token` from its normalised f32 row. Thread-safe for distinct
  /// tokens.
  void route(std::size_t token, const float* normed, const Compute& compute,
             MoeScratch& scratch) const noexcept {
    const std::size_t n_experts = router_.n_experts();
    router_.forward_row(normed, compute.kernels,
                        scratch.router_logits.span().subspan(token * n_experts, n_experts),
                        std::span(scratch.experts).subspan(token * top_k_, top_k_),
                        std::span(scratch.weights).subspan(token * top_k_, top_k_));
  }

  /// residual [n_tokens, hidden] += sum over the chosen experts of weight * Expert(input), for tokens
  /// that have been routed. input [n_tokens, hidden] in input_form().
  void forward(ActivationView input, const Compute& compute, MoeScratch& scratch,
               MatrixView<float> residual) const {
    group_by_expert(residual.rows, scratch);
    list_jobs(scratch);
    const std::size_t n_slots = residual.rows * top_k_;
    const ActivationView hidden = scratch.expert_hidden.view(
        compute.activation_form(outer_), n_slots, experts_.front().gate.rows);
    const MatrixView<float> out(scratch.expert_out.data(), n_slots, residual.cols);
    if (is_blocked(input.form) && residual.rows >= kMinCopiedTokens) {
      run_gate_up(copy_to_slots(input, compute, scratch), {}, compute, scratch, hidden);
    } else {
      run_gate_up(input, scratch.token_of, compute, scratch, hidden);
    }
    run_down(hidden, compute, scratch, out);
    combine(out, compute, scratch, residual);
  }

 private:
  /// Counting sort of the slots by expert; within an expert, by token.
  void group_by_expert(std::size_t n_tokens, MoeScratch& scratch) const noexcept {
    std::vector<std::size_t>& next = scratch.slots_end;
    std::fill(next.begin(), next.end(), 0);
    for (std::size_t i = 0; i < n_tokens * top_k_; ++i) ++next[scratch.experts[i]];
    std::size_t begin = 0;
    for (std::size_t& count : next) begin += std::exchange(count, begin);
    for (std::size_t i = 0; i < n_tokens * top_k_; ++i) {
      const std::size_t slot = next[scratch.experts[i]]++;
      scratch.slot_of[i] = static_cast<std::uint32_t>(slot);
      scratch.token_of[slot] = static_cast<std::uint32_t>(i / top_k_);
    }
  }

  void list_jobs(MoeScratch& scratch) const {
    scratch.jobs.clear();
    std::size_t begin = 0;
    for (std::size_t e = 0; e < experts_.size(); ++e) {
      const std::size_t end = scratch.slots_end[e];
      if (end > begin) scratch.jobs.push_back({&experts_[e], begin, end - begin});
      begin = end;
    }
  }

  ActivationView copy_to_slots(ActivationView input, const Compute& compute,
                               MoeScratch& scratch) const {
    const std::size_t n_slots = input.rows * top_k_;
    const ActivationView slots = scratch.expert_in.view(input.form, n_slots, input.cols);
    compute.executor.run(n_slots, [&](std::size_t slot, std::size_t) {
      slots.copy_row(input, scratch.token_of[slot], slot);
    });
    return slots;
  }

  /// hidden[slot] = silu(gate x) * (up x), where x is row rows[slot] of the input, or row `slot` without rows.
  /// A task computes the same rows of gate and of up, so that SwiGLU needs no pass of its own.
  void run_gate_up(ActivationView input, std::span<const std::uint32_t> rows, const Compute& compute,
                   MoeScratch& scratch, ActivationView hidden) const {
    detail::for_each_tile(
        std::span<const ExpertJob>(scratch.jobs), compute,
        [](const ExpertJob& job) { return job.expert->gate; },
        [](const ExpertJob& job) { return job.count; },
        [&](const ExpertJob& job, std::size_t first, std::size_t count, std::size_t worker) {
          float* memory = scratch.tiles.data() + worker * 2 * scratch.tile_elements;
          const MatrixView<float> gate(memory, job.count, count);
          const MatrixView<float> up(memory + scratch.tile_elements, job.count, count);
          const bool gathers = !rows.empty();
          const ActivationView x = gathers ? input : input.row_block(job.begin, job.count);
          const auto x_rows = gathers ? rows.subspan(job.begin, job.count) : rows;
          detail::multiply_rows({job.expert->gate, x, x_rows, gate}, first, count, compute, gate);
          detail::multiply_rows({job.expert->up, x, x_rows, up}, first, count, compute, up);
          for (std::size_t t = 0; t < job.count; ++t) {
            compute.kernels.swiglu(gate.row(t).data(), up.row(t).data(), count);
            hidden.set(job.begin + t, first, gate.row(t), compute.kernels);
          }
        });
  }

  void run_down(ActivationView hidden, const Compute& compute, MoeScratch& scratch,
                MatrixView<float> out) const {
    scratch.down_jobs.clear();
    for (const ExpertJob& job : scratch.jobs) {
      const ActivationView input = hidden.row_block(job.begin, job.count);
      const MatrixView<float> rows(out.row(job.begin).data(), job.count, out.cols);
      scratch.down_jobs.push_back({job.expert->down, input, {}, rows});
    }
    run_linear(scratch.down_jobs, compute);
  }

  /// Adds the experts' outputs, best expert first.
  void combine(MatrixView<float> out, const Compute& compute, const MoeScratch& scratch,
               MatrixView<float> residual) const {
    compute.executor.run(residual.rows, [&](std::size_t token, std::size_t) {
      for (std::size_t k = 0; k < top_k_; ++k) {
        const std::size_t choice = token * top_k_ + k;
        compute.kernels.add_scaled(scratch.weights[choice],
                                   out.row(scratch.slot_of[choice]).data(), residual.cols,
                                   residual.row(token).data());
      }
    });
  }

  Router router_;
  std::vector<Expert> experts_;  // [n_experts]
  std::size_t top_k_;
  std::vector<WeightView> inner_;  // gate and up of every expert
  std::vector<WeightView> outer_;  // down of every expert
};

}  // namespace mixtral

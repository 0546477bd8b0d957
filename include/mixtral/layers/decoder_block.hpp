// One layer of the network.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "mixtral/layers/attention.hpp"
#include "mixtral/layers/moe.hpp"
#include "mixtral/layers/rms_norm.hpp"

namespace mixtral {

/// Scratch of DecoderBlock::forward.
struct BlockScratch {
  AttentionScratch attention;
  MoeScratch moe;
  AlignedBuffer<float> normed;     // [n_tokens, hidden]
  AlignedBuffer<float> projected;  // [n_tokens, hidden]
  ActivationBuffer input;          // [n_tokens, hidden] as the next product wants it
};

/// x += Attention(norm(x)); x += Moe(norm(x)).
class DecoderBlock {
 public:
  DecoderBlock(RmsNorm attention_norm, Attention attention, RmsNorm ffn_norm, Moe moe)
      : attention_norm_(std::move(attention_norm)),
        attention_(std::move(attention)),
        ffn_norm_(std::move(ffn_norm)),
        moe_(std::move(moe)) {}

  /// residual [n_tokens, hidden], in place; row t belongs to places[t].
  void forward(std::span<const TokenPlace> places, std::size_t layer, const Compute& compute,
               BlockScratch& scratch, MatrixView<float> residual) const {
    const std::size_t hidden = residual.cols;
    const MatrixView<float> normed(scratch.normed.data(), residual.rows, hidden);
    const MatrixView<float> projected(scratch.projected.data(), residual.rows, hidden);
    attention_.forward(attention_input(compute, scratch, residual), places, layer, compute, scratch.attention,
                       projected);

    const ActivationView input = scratch.input.view(moe_.input_form(compute), residual.rows, hidden);
    compute.executor.run(residual.rows, [&](std::size_t t, std::size_t) {
      compute.kernels.add_scaled(1.0f, projected.row(t).data(), hidden, residual.row(t).data());
      ffn_norm_.forward_row(residual.row(t).data(), compute.kernels, normed.row(t).data());
      input.set_row(t, normed.row(t).data(), compute.kernels);
      moe_.route(t, normed.row(t).data(), compute, scratch.moe);
    });
    moe_.forward(input, compute, scratch.moe, residual);
  }

  /// Writes the tokens' keys and values to their caches as `forward` does: all that later tokens need of them in
  /// the last layer.
  void store(std::span<const TokenPlace> places, std::size_t layer, const Compute& compute,
             BlockScratch& scratch, MatrixView<const float> residual) const {
    attention_.store(attention_input(compute, scratch, residual), places, layer, compute, scratch.attention);
  }

 private:
  /// norm(residual) as the projections of attention want it.
  ActivationView attention_input(const Compute& compute, BlockScratch& scratch,
                                 MatrixView<const float> residual) const {
    const MatrixView<float> normed(scratch.normed.data(), residual.rows, residual.cols);
    const ActivationView input =
        scratch.input.view(attention_.input_form(compute), residual.rows, residual.cols);
    compute.executor.run(residual.rows, [&](std::size_t t, std::size_t) {
      attention_norm_.forward_row(residual.row(t).data(), compute.kernels, normed.row(t).data());
      input.set_row(t, normed.row(t).data(), compute.kernels);
    });
    return input;
  }

  RmsNorm attention_norm_;
  Attention attention_;
  RmsNorm ffn_norm_;
  Moe moe_;
};

}  // namespace mixtral

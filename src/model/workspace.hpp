// What a Workspace owns.
#pragma once

#include <cstddef>
#include <vector>

#include "mixtral/layers/decoder_block.hpp"
#include "mixtral/model/mixtral.hpp"

namespace mixtral {

struct Workspace::Buffers {
  Buffers(const Config& config, std::size_t max_tokens, std::size_t max_logits, std::size_t n_ctx,
          std::size_t n_threads);

  std::size_t bytes() const noexcept;

  /// Moves what a forward pass keeps of a token from row `from` to row `to` <= `from`.
  void move_token(std::size_t from, std::size_t to) noexcept;

  Config config;
  std::size_t max_tokens;
  std::size_t max_logits;
  std::size_t n_ctx;
  std::size_t n_threads;
  std::vector<TokenPlace> places;    // [n_tokens]
  std::vector<std::size_t> wanted;   // rows of the batch whose logits are asked for
  AlignedBuffer<float> residual;     // [n_tokens, hidden]
  BlockScratch block;
  ActivationBuffer final_input;      // [n_logits, hidden] in the type of lm_head's product
  AlignedBuffer<float> logits;       // [n_logits, vocab]
};

}  // namespace mixtral

// What a Mixtral is: the numbers that fix every shape.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "mixtral/core/tensor.hpp"

namespace mixtral {

/// Dimensions and constants of one model. Readers in io/ fill it from a checkpoint and validate it.
struct Config {
  std::size_t n_layers = 0;
  std::size_t hidden = 0;
  std::size_t ffn = 0;  ///< width of one expert
  std::size_t n_heads = 0;
  std::size_t n_kv_heads = 0;  ///< divides n_heads; query head i reads kv head i / (n_heads/n_kv_heads)
  std::size_t head_dim = 0;    ///< even; need not be hidden / n_heads
  std::size_t n_experts = 0;
  std::size_t top_k = 0;  ///< experts used per token, 1 .. n_experts
  std::size_t vocab = 0;
  std::size_t max_position = 0;  ///< longest context the model was made for
  double rope_theta = 0;
  double rms_norm_eps = 0;
  std::optional<std::size_t> sliding_window;  ///< a position sees itself and the window-1 before it
  bool tie_embeddings = false;                ///< lm_head is the embedding matrix
  TokenId bos_id = 1;
  std::vector<TokenId> eos_ids = {2};

  bool operator==(const Config&) const = default;

  std::size_t q_dim() const noexcept { return n_heads * head_dim; }
  std::size_t kv_dim() const noexcept { return n_kv_heads * head_dim; }
  std::size_t group_size() const noexcept { return n_heads / n_kv_heads; }
};

/// Which two rows of a head of queries or keys the rotary embedding turns together.
enum class RotaryOrder {
  half_split,   ///< p and p + head_dim / 2, as Hugging Face and native files have them
  interleaved,  ///< 2 p and 2 p + 1, as GGUF files and Mistral's own checkpoints have them
};

/// Throws Error(invalid_argument or unsupported), naming the field, when a model can't be built from
/// `config`: zero or absurd sizes, heads that don't divide, top_k > n_experts, ids out of range.
void validate(const Config& config);

/// Sampling defaults that a checkpoint ships (generation_config.json). Absent fields are unset.
struct GenerationDefaults {
  std::optional<bool> do_sample;
  std::optional<double> temperature;
  std::optional<std::size_t> top_k;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<std::size_t> max_new_tokens;
};

}  // namespace mixtral

// A small random Mixtral in memory, and a tokenizer to go with it.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "mixtral/core/error.hpp"
#include "mixtral/generate/model.hpp"

namespace mixtral::test {

/// 3 special tokens, 256 bytes, then pieces of one or a few characters.
class TinyTokenizer final : public Tokenizer {
 public:
  static constexpr TokenId kFirstByte = 3;
  static constexpr TokenId kFirstPiece = kFirstByte + 256;

  TinyTokenizer() : pieces_{"<unk>", "<s>", "</s>"} {
    constexpr char kDigits[] = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; ++byte) {
      pieces_.push_back(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">");
    }
    for (const char* piece : {"▁", "▁the", "▁a", "\n", "é", "世界", "🙂", "▁▁"}) {
      pieces_.push_back(piece);
    }
    for (char letter = 'a'; letter <= 'z'; ++letter) pieces_.emplace_back(1, letter);
    for (std::size_t i = 0; i < pieces_.size(); ++i) ids_[pieces_[i]] = static_cast<TokenId>(i);
  }

  std::vector<TokenId> encode(std::string_view text) const override {
    std::vector<TokenId> ids;
    if (text.empty()) return ids;
    ids.push_back(ids_.at("▁"));
    for (char byte : text) {
      const auto piece = find(byte == ' ' ? "▁" : std::string_view(&byte, 1));
      ids.push_back(piece.value_or(kFirstByte + static_cast<unsigned char>(byte)));
    }
    return ids;
  }

  std::size_t vocab_size() const noexcept override { return pieces_.size(); }
  std::string_view piece(TokenId id) const override { return pieces_.at(id); }
  TokenKind kind(TokenId id) const override {
    if (id == 0) return TokenKind::unknown;
    if (id < kFirstByte) return TokenKind::control;
    return id < kFirstPiece ? TokenKind::byte : TokenKind::normal;
  }
  std::optional<TokenId> find(std::string_view piece) const override {
    const auto found = ids_.find(std::string(piece));
    if (found == ids_.end()) return std::nullopt;
    return found->second;
  }
  TokenId bos_id() const noexcept override { return 1; }
  TokenId eos_id() const noexcept override { return 2; }
  TokenId unk_id() const noexcept override { return 0; }

 private:
  std::vector<std::string> pieces_;
  std::map<std::string, TokenId> ids_;
};

inline Config tiny_config() {
  Config config;
  config.n_layers = 2;
  config.hidden = 48;
  config.ffn = 40;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.head_dim = 16;
  config.n_experts = 4;
  config.top_k = 2;
  config.vocab = TinyTokenizer().vocab_size();
  config.max_position = 256;
  config.rope_theta = 1e4;
  config.rms_norm_eps = 1e-5;
  return config;
}

/// Normally distributed bf16 weights, scaled for lively logits. The norms' weights are 1.
class RandomCheckpoint final : public Checkpoint {
 public:
  explicit RandomCheckpoint(const Config& config, const GenerationDefaults& defaults = {})
      : config_(config), defaults_(defaults) {
    add({TensorRole::embedding}, config.vocab, config.hidden);
    add({TensorRole::final_norm}, 1, config.hidden);
    add({TensorRole::lm_head}, config.vocab, config.hidden);
    for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
      add({TensorRole::attention_norm, layer}, 1, config.hidden);
      add({TensorRole::query, layer}, config.q_dim(), config.hidden);
      add({TensorRole::key, layer}, config.kv_dim(), config.hidden);
      add({TensorRole::value, layer}, config.kv_dim(), config.hidden);
      add({TensorRole::output, layer}, config.hidden, config.q_dim());
      add({TensorRole::ffn_norm, layer}, 1, config.hidden);
      add({TensorRole::router, layer}, config.n_experts, config.hidden);
      for (std::size_t expert = 0; expert < config.n_experts; ++expert) {
        add({TensorRole::expert_gate, layer, expert}, config.ffn, config.hidden);
        add({TensorRole::expert_down, layer, expert}, config.hidden, config.ffn);
        add({TensorRole::expert_up, layer, expert}, config.ffn, config.hidden);
      }
    }
  }

  const Config& config() const noexcept override { return config_; }
  const GenerationDefaults& generation_defaults() const noexcept override { return defaults_; }
  WeightView tensor(TensorKey key) const override {
    const Matrix& matrix = tensors_.at(order(key));
    return {reinterpret_cast<const std::byte*>(matrix.values.data()), DType::bf16, matrix.rows,
            matrix.cols};
  }
  std::size_t weight_bytes() const noexcept override { return 0; }
  void check_unchanged() const override {
    if (is_broken) throw Error(ErrorCode::io, "the weights have gone");
  }

  bool is_broken = false;  ///< makes every forward pass fail

 private:
  using Order = std::tuple<TensorRole, std::size_t, std::size_t>;
  struct Matrix {
    std::size_t rows, cols;
    std::vector<BF16> values;
  };

  static Order order(TensorKey key) { return {key.role, key.layer, key.expert}; }

  void add(TensorKey key, std::size_t rows, std::size_t cols) {
    Matrix matrix{rows, cols, {}};
    std::normal_distribution<float> normal(0.0f, 1.5f / std::sqrt(static_cast<float>(cols)));
    for (std::size_t i = 0; i < rows * cols; ++i) {
      matrix.values.push_back(to_bf16(rows == 1 ? 1.0f : normal(random_)));
    }
    tensors_[order(key)] = std::move(matrix);
  }

  Config config_;
  GenerationDefaults defaults_;
  std::mt19937 random_{7};
  std::map<Order, Matrix> tensors_;
};

/// The native back end, whose results don't depend on how the work is split.
inline Model make_model(std::shared_ptr<const Checkpoint> checkpoint, bool with_tokenizer = true) {
  const ComputeOptions compute{.gemm = GemmKind::native};
  auto network = std::make_shared<const Mixtral>(std::move(checkpoint), compute);
  std::shared_ptr<const Tokenizer> tokenizer;
  if (with_tokenizer) tokenizer = std::make_shared<const TinyTokenizer>();
  return Model(std::move(network), std::move(tokenizer));
}

inline Model tiny_model(const GenerationDefaults& defaults = {}) {
  return make_model(std::make_shared<const RandomCheckpoint>(tiny_config(), defaults));
}

inline std::vector<TokenId> random_ids(std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<TokenId> ids;
  const auto vocab = static_cast<TokenId>(tiny_config().vocab);
  while (ids.size() < count) ids.push_back(3 + random() % (vocab - 3));
  return ids;
}

/// Varied text: greedy continuations of a random model soon repeat themselves.
inline SamplingOptions lively(std::uint64_t seed = 1) { return {.temperature = 1, .seed = seed}; }

/// The code and message of the Error that `action` throws.
template <class F>
Error error_of(F&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::internal, "nothing was thrown");
}

}  // namespace mixtral::test

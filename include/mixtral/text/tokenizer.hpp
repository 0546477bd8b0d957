// Text to token ids and back, as SentencePiece does it for Mistral's models.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/core/tensor.hpp"

namespace mixtral {

/// What a vocabulary entry stands for.
enum class TokenKind { normal, unknown, control, user_defined, byte };

/// Converts between UTF-8 text and token ids. Immutable after construction; thread-safe.
/// Text never becomes control tokens: "<s>" or "[INST]" in the input is encoded as plain
/// characters.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Ids of `text` (no BOS, no EOS). Each byte that isn't valid UTF-8 reads as U+FFFD. "" gives
  /// none.
  virtual std::vector<TokenId> encode(std::string_view text) const = 0;

  /// The text of a whole sequence: one leading space that `encode` put there is dropped, control
  /// tokens vanish, byte tokens are joined and bad UTF-8 becomes U+FFFD. Throws Error for an id out
  /// of range.
  std::string decode(std::span<const TokenId> ids) const;

  virtual std::size_t vocab_size() const noexcept = 0;

  /// The stored piece, such as "▁the", "<0x0A>" or "</s>". Throws Error for an id out of range.
  virtual std::string_view piece(TokenId id) const = 0;
  virtual TokenKind kind(TokenId id) const = 0;

  /// The id whose piece is exactly `piece`.
  virtual std::optional<TokenId> find(std::string_view piece) const = 0;

  virtual TokenId bos_id() const noexcept = 0;
  virtual TokenId eos_id() const noexcept = 0;
  virtual TokenId unk_id() const noexcept = 0;
};

/// Opens tokenizer.model (through SentencePiece) or, when there is none, tokenizer.json in
/// `directory`. Throws Error naming the file and the fault.
std::shared_ptr<const Tokenizer> open_tokenizer(const std::filesystem::path& directory);

/// From the bytes of a SentencePiece model; `name` is used in error messages.
std::shared_ptr<const Tokenizer> parse_sentencepiece(std::span<const std::byte> bytes,
                                                     std::string_view name);

/// From the bytes of a Hugging Face tokenizer.json (BPE with byte fallback).
std::shared_ptr<const Tokenizer> parse_tokenizer_json(std::span<const std::byte> bytes,
                                                      std::string_view name);

}  // namespace mixtral

// Decodes ids one by one and gives text out in whole UTF-8 characters only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "mixtral/text/tokenizer.hpp"

namespace mixtral {

/// Turns a growing sequence of ids into text. Concatenating everything that `push` and `finish`
/// return equals Tokenizer::decode of the whole sequence for a fresh text. One thread at a time.
class StreamingDecoder {
 public:
  /// Where the ids stand: at the start of a text (its leading space, put there by `encode`, is
  /// dropped) or after a prompt (every space is real).
  enum class Start { fresh, continuation };

  StreamingDecoder(std::shared_ptr<const Tokenizer> tokenizer, Start start);

  /// The text that `id` completes, possibly empty: an unfinished UTF-8 character is held back.
  /// Throws Error for an id out of range, and then has not changed.
  std::string push(TokenId id);

  /// What is still held back, each bad byte as U+FFFD. The decoder then stands after a text.
  std::string finish();

 private:
  std::string push_byte(std::uint8_t byte);
  std::string take_pending(std::size_t count);

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string pending_bytes_;
  bool drop_leading_space_;
};

}  // namespace mixtral

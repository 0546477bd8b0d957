// Finds stop strings in text that arrives in pieces.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mixtral {

/// Passes text through up to the first stop string, which is itself swallowed. What may yet turn
/// out to begin a stop string is held back. The result doesn't depend on how the text is cut into
/// pieces: the stop string that is complete first wins; of several complete at the same byte, the
/// longest. Time is linear in the text, per stop string (Knuth, Morris, Pratt). One thread at a
/// time.
class StopMatcher {
 public:
  /// Throws Error(invalid_argument) when one is empty or not valid UTF-8.
  explicit StopMatcher(std::span<const std::string> stop_strings);

  /// Takes whole UTF-8 characters; returns the text that is now known to precede any stop string,
  /// valid until the next call. After a match, everything that is pushed vanishes.
  std::string_view push(std::string_view text);

  /// The text still held back, when no more is to come.
  std::string_view finish();

  /// Index of the stop string that was found.
  std::optional<std::size_t> match() const noexcept { return match_; }

 private:
  /// One stop string and how much of it the text so far ends with.
  struct Pattern {
    std::string text;
    std::vector<std::size_t> borders;  // [i]: longest proper border of the first i + 1 bytes
    std::size_t n_matched = 0;

    bool advance(char byte) noexcept;
  };

  bool advance(char byte) noexcept;
  std::size_t longest_partial_match() const noexcept;
  void release(std::size_t n_kept);

  std::vector<Pattern> patterns_;
  std::string held_;      // not yet given out
  std::string released_;  // what the last call returned
  std::optional<std::size_t> match_;
};

}  // namespace mixtral

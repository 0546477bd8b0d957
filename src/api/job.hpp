// One text to generate, and what became of it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "mixtral/generate/batch.hpp"

namespace mixtral::api {

/// A chat to answer; `tools` as format_chat takes them.
struct Conversation {
  std::vector<ChatMessage> messages;
  std::string tools = {};
};

struct Job {
  std::variant<std::vector<TokenId>, Conversation> prompt;
  std::size_t n_prompt;  ///< tokens
  GenerateOptions options;
  bool scores_prompt = false;  ///< asks for the log-probabilities of the prompt's tokens
};

/// A copy of a TokenEvent.
struct Piece {
  explicit Piece(const TokenEvent& event)
      : id(event.id),
        text(event.text),
        logprob(event.logprob),
        top(event.top_logprobs.begin(), event.top_logprobs.end()),
        finish(event.finish) {}

  TokenId id;
  std::string text;
  double logprob;
  std::vector<TokenLogprob> top;
  std::optional<FinishReason> finish;
};

struct Result {
  std::vector<Piece> prompt_pieces = {};  ///< from the second token of the prompt on, if it is scored
  std::vector<Piece> pieces = {};

  std::string text() const {
    std::string text;
    for (const Piece& piece : pieces) text += piece.text;
    return text;
  }

  FinishReason finish() const {
    const bool is_finished = !pieces.empty() && pieces.back().finish;
    return is_finished ? *pieces.back().finish : FinishReason::length;
  }
};

/// Adds `job` to `batch`. Its events go to the step's callback, those of its prompt to `on_prompt_piece`.
std::size_t add(Batch& batch, const Job& job, std::function<void(Piece)> on_prompt_piece);

}  // namespace mixtral::api

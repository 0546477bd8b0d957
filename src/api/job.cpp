#include "api/job.hpp"

#include <utility>

namespace mixtral::api {

std::size_t add(Batch& batch, const Job& job, std::function<void(Piece)> on_prompt_piece) {
  GenerateOptions options = job.options;
  if (job.scores_prompt) {
    options.on_prompt_token = [take = std::move(on_prompt_piece)](const TokenEvent& event) {
      take(Piece(event));
    };
  }
  if (const auto* chat = std::get_if<Conversation>(&job.prompt)) {
    return batch.add_chat(chat->messages, options, chat->tools);
  }
  return batch.add(std::get<std::vector<TokenId>>(job.prompt), options);
}

}  // namespace mixtral::api

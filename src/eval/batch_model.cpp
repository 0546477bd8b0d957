#include "eval/batch_model.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "eval/python_text.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::eval {
namespace {

std::vector<TokenId> encode(const Tokenizer& tokenizer, std::span<const TokenId> begin,
                            std::string_view text) {
  std::vector<TokenId> ids(begin.begin(), begin.end());
  const auto encoded = tokenizer.encode(text);
  ids.insert(ids.end(), encoded.begin(), encoded.end());
  return ids;
}

/// ContextOptions mean 4096 by 0; here it is what the model was made for.
BatchOptions with_full_context(BatchOptions options, const Model& model) {
  if (options.context.n_ctx == 0) options.context.n_ctx = model.config().max_position;
  return options;
}

}  // namespace

mixtral::ScoreRequest split_tokens(const Tokenizer& tokenizer, std::span<const TokenId> begin,
                                   std::string_view context, std::string_view continuation) {
  if (context.empty()) {
    mixtral::ScoreRequest request{{tokenizer.bos_id()}, tokenizer.encode(continuation)};
    return request;
  }
  const std::string whole = std::string(context) + std::string(continuation);
  std::vector<TokenId> ids = encode(tokenizer, begin, whole);
  mixtral::ScoreRequest request{encode(tokenizer, begin, rstrip(context)), {}};
  const std::size_t n_context = std::min(request.context.size(), ids.size());
  request.continuation.assign(ids.begin() + static_cast<std::ptrdiff_t>(n_context), ids.end());
  return request;
}

BatchModel::BatchModel(const Model& model, const BatchOptions& options, bool adds_bos)
    : tokenizer_(model.tokenizer()), batch_(model, with_full_context(options, model)) {
  if (adds_bos) begin_ = {tokenizer_.bos_id()};
}

/// Forgets as much of the beginning of `context` as doesn't fit before `n_after` tokens.
void BatchModel::cut(std::vector<TokenId>& context, std::size_t n_after) {
  if (n_after >= n_ctx()) {
    throw Error(ErrorCode::capacity, "context: expected room for a prompt before " +
                                         std::to_string(n_after) + " tokens, found " +
                                         std::to_string(n_ctx()) + " in all");
  }
  const std::size_t n_room = n_ctx() - n_after;
  if (context.size() <= n_room) return;
  context.erase(context.begin(), context.end() - static_cast<std::ptrdiff_t>(n_room));
  ++n_cut_;
}

std::vector<Likelihood> BatchModel::score(std::span<const ScoreRequest> requests,
                                          const ProgressCallback& on_progress) {
  std::vector<mixtral::ScoreRequest> split;
  for (const ScoreRequest& request : requests) {
    split.push_back(split_tokens(tokenizer_, begin_, request.context, request.continuation));
    cut(split.back().context, split.back().continuation.size());
  }
  const auto scores =
      mixtral::score(batch_, split, [&](std::size_t done, std::size_t) {
        on_progress(done);
        return true;
      });
  std::vector<Likelihood> likelihoods;
  for (const ContinuationScore& one : scores) {
    likelihoods.push_back({one.logprob, one.is_greedy});
  }
  return likelihoods;
}

std::vector<std::string> BatchModel::generate(std::span<const std::string> contexts,
                                              std::span<const std::string> stop_strings,
                                              std::size_t max_tokens,
                                              const ProgressCallback& on_progress) {
  GenerateOptions options{.max_new_tokens = max_tokens, .sampling = SamplingOptions{}};
  options.stop.assign(stop_strings.begin(), stop_strings.end());
  std::vector<std::string> answers(contexts.size());
  std::map<std::size_t, std::size_t> answer_of;  // by the batch's index
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    std::vector<TokenId> ids = encode(tokenizer_, begin_, contexts[i]);
    cut(ids, max_tokens);
    answer_of[batch_.add(ids, options)] = i;
  }
  std::size_t n_done = 0;
  const auto on_token = [&](std::size_t index, const TokenEvent& event) {
    answers[answer_of.at(index)] += event.text;
    n_done += event.finish.has_value() ? 1 : 0;
    return true;
  };
  while (batch_.step(on_token)) on_progress(n_done);
  return answers;
}

}  // namespace mixtral::eval

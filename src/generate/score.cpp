#include "mixtral/generate/score.hpp"

#include <algorithm>
#include <string>

#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

/// Requests that are handed to a batch in advance: enough for it to see what they share.
constexpr std::size_t kMaxWaiting = 64;

std::size_t n_tokens(const ScoreRequest& request) {
  return request.context.size() + request.continuation.size();
}

/// Scores some requests in a batch that has no others.
class Scoring {
 public:
  Scoring(Batch& batch, std::span<const ScoreRequest> requests)
      : batch_(batch), requests_(requests), scores_(requests.size()) {
    if (batch.n_running() + batch.n_waiting() > 0) {
      throw Error(ErrorCode::invalid_argument, "score: expected a batch without other requests");
    }
  }
  ~Scoring() {
    for (const std::size_t index : added_) batch_.cancel(index);
  }
  Scoring(const Scoring&) = delete;
  Scoring& operator=(const Scoring&) = delete;

  std::vector<ContinuationScore> run(const ScoreCallback& on_progress) {
    do {
      if (on_progress && !on_progress(n_done_, requests_.size())) {
        throw Error(ErrorCode::cancelled, "score: stopped by its callback");
      }
      while (next_ < requests_.size() && batch_.n_waiting() < kMaxWaiting) add(next_++);
    } while (batch_.step([](std::size_t, const TokenEvent&) { return true; }));
    if (on_progress) on_progress(n_done_, requests_.size());
    return std::move(scores_);
  }

 private:
  void add(std::size_t i) {
    const ScoreRequest& request = requests_[i];
    if (request.context.empty()) {
      throw Error(ErrorCode::invalid_argument,
                  "score: request " + std::to_string(i) + ": expected a context, found no tokens");
    }
    if (request.continuation.empty()) {
      ++n_done_;
      return;
    }
    std::vector<TokenId> ids = request.context;
    ids.insert(ids.end(), request.continuation.begin(), request.continuation.end());
    scores_[i].token_logprobs.reserve(request.continuation.size());
    GenerateOptions options{.top_logprobs = 1, .prompt_logprobs_from = request.context.size()};
    options.on_prompt_token = [this, i](const TokenEvent& event) { take(scores_[i], event); };
    added_.push_back(batch_.add(ids, options));
  }

  void take(ContinuationScore& score, const TokenEvent& event) {
    score.logprob += event.logprob;
    score.is_greedy &= event.top_logprobs.front().id == event.id;
    score.token_logprobs.push_back(event.logprob);
    n_done_ += event.finish.has_value();
  }

  Batch& batch_;
  std::span<const ScoreRequest> requests_;
  std::vector<ContinuationScore> scores_;
  std::vector<std::size_t> added_;  // indices in the batch
  std::size_t next_ = 0;
  std::size_t n_done_ = 0;
};

}  // namespace

std::vector<ContinuationScore> score(Batch& batch, std::span<const ScoreRequest> requests,
                                     const ScoreCallback& on_progress) {
  return Scoring(batch, requests).run(on_progress);
}

std::vector<ContinuationScore> score(const Model& model, std::span<const ScoreRequest> requests,
                                     const BatchOptions& options,
                                     const ScoreCallback& on_progress) {
  BatchOptions fitted = options;
  if (fitted.context.n_ctx == 0) {
    fitted.context.n_ctx = 1;
    for (const ScoreRequest& request : requests) {
      fitted.context.n_ctx = std::max(fitted.context.n_ctx, n_tokens(request));
    }
  }
  Batch batch(model, fitted);
  return score(batch, requests, on_progress);
}

}  // namespace mixtral

// Batches and scores, as C has them.
#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "conversions.hpp"
#include "handles.hpp"

using namespace mixtral::capi;

namespace {

/// Adds a request by `add`, which takes the options. A callback for its prompt's tokens that wants to
/// stop ends this request only.
template <class F>
void add_request(mixtral_batch& handle, const mixtral_generate_params* params, uint64_t* index,
                 F&& add) {
  require(index, "index") = 0;
  mixtral::GenerateOptions options = generate_options(params);
  const auto number = std::make_shared<std::optional<std::size_t>>();
  if (options.on_prompt_token) {
    options.on_prompt_token = [&handle, number, report = std::move(options.on_prompt_token)](
                                  const mixtral::TokenEvent& token) {
      try {
        report(token);
      } catch (const mixtral::Error& error) {
        if (error.code() != mixtral::ErrorCode::cancelled) throw;
        handle.batch.cancel(**number);
      }
    };
  }
  *number = add(options);
  *index = **number;
}

std::vector<mixtral::ScoreRequest> score_requests(std::span<const mixtral_score_request> given) {
  std::vector<mixtral::ScoreRequest> requests;
  requests.reserve(given.size());
  for (const mixtral_score_request& request : given) {
    const auto context =
        array_of(request.context, request.n_context, "mixtral_score_request.context");
    const auto continuation = array_of(request.continuation, request.n_continuation,
                                       "mixtral_score_request.continuation");
    requests.push_back(
        {{context.begin(), context.end()}, {continuation.begin(), continuation.end()}});
  }
  return requests;
}

}  // namespace

extern "C" {

mixtral_status mixtral_batch_create(const mixtral_model* model, const mixtral_batch_params* params,
                                    mixtral_batch** batch) {
  return guard([&] {
    require(batch, "batch") = nullptr;
    *batch =
        new mixtral_batch{mixtral::Batch(require(model, "model").model, batch_options(params))};
  });
}

void mixtral_batch_free(mixtral_batch* batch) { delete batch; }

mixtral_status mixtral_batch_add(mixtral_batch* batch, const char* prompt, size_t prompt_size,
                                 const mixtral_generate_params* params, uint64_t* index) {
  return guard([&] {
    const std::string_view text = text_of(prompt, prompt_size, "prompt");
    add_request(require(batch, "batch"), params, index,
                [&](const auto& options) { return batch->batch.add(text, options); });
  });
}

mixtral_status mixtral_batch_add_tokens(mixtral_batch* batch, const mixtral_token* tokens,
                                        size_t n_tokens, const mixtral_generate_params* params,
                                        uint64_t* index) {
  return guard([&] {
    const std::span<const mixtral_token> ids = array_of(tokens, n_tokens, "tokens");
    add_request(require(batch, "batch"), params, index,
                [&](const auto& options) { return batch->batch.add(ids, options); });
  });
}

mixtral_status mixtral_batch_add_chat(mixtral_batch* batch, const mixtral_message* messages,
                                      size_t n_messages, const mixtral_generate_params* params,
                                      uint64_t* index) {
  return guard([&] {
    const std::vector<mixtral::ChatMessage> conversation = chat_messages(messages, n_messages);
    add_request(require(batch, "batch"), params, index,
                [&](const auto& options) { return batch->batch.add_chat(conversation, options); });
  });
}

mixtral_status mixtral_batch_step(mixtral_batch* batch, mixtral_batch_callback on_token,
                                  void* user_data, uint64_t* n_left) {
  return guard([&] {
    require(n_left, "n_left") = 0;
    require(on_token, "on_token");
    mixtral::Batch& running = require(batch, "batch").batch;
    running.step(TokenReport(on_token, user_data));
    *n_left = running.n_running() + running.n_waiting();
  });
}

mixtral_status mixtral_batch_cancel(mixtral_batch* batch, uint64_t index) {
  return guard([&] { require(batch, "batch").batch.cancel(index); });
}

mixtral_status mixtral_batch_stats(const mixtral_batch* batch, mixtral_stats* stats) {
  return guard([&] {
    const mixtral::BatchStats found = require(batch, "batch").batch.stats();
    mixtral_stats value = {};
    value.n_running = found.n_running;
    value.n_waiting = found.n_waiting;
    value.n_positions = found.n_positions;
    value.cache_bytes = found.cache_bytes;
    value.prefix_bytes = found.prefix_bytes;
    value.n_prompt_computed = found.n_prompt_computed;
    value.n_prompt_reused = found.n_prompt_reused;
    write_struct(value, stats, "stats");
  });
}

mixtral_status mixtral_batch_score(mixtral_batch* batch, const mixtral_score_request* requests,
                                   size_t n_requests, mixtral_score* scores,
                                   mixtral_progress_callback on_progress, void* user_data) {
  return guard([&] {
    const auto given = array_of(requests, n_requests, "requests");
    if (n_requests > 0) require(scores, "scores");
    mixtral::ScoreCallback progress;
    if (on_progress != nullptr) progress = ProgressReport{on_progress, user_data};
    const auto found = mixtral::score(require(batch, "batch").batch, score_requests(given), progress);
    for (std::size_t i = 0; i < found.size(); ++i) {
      scores[i] = {found[i].logprob, found[i].is_greedy, 0};
      if (given[i].token_logprobs == nullptr) continue;
      std::copy(found[i].token_logprobs.begin(), found[i].token_logprobs.end(),
                given[i].token_logprobs);
    }
  });
}

}  // extern "C"

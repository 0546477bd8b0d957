#include <limits>
#include <utility>

#include "api/common_fields.hpp"
#include "api/request.hpp"

namespace mixtral::api {
namespace {

constexpr std::size_t kDefaultNewTokens = 16;  // the OpenAI API's
constexpr std::size_t kMaxLogprobs = 20;

struct Prompt {
  std::vector<TokenId> ids;
  std::string text;  // to echo
};

/// Reads what "prompt" holds.
class PromptReader {
 public:
  PromptReader(const Target& target, bool adds_bos, bool echoes)
      : target_(target), adds_bos_(adds_bos), echoes_(echoes) {}

  std::vector<Prompt> read(const Fields& fields) const {
    const Json* prompt = fields.find("prompt");
    if (prompt == nullptr) fail_field("prompt", "a string, ids, or a list of either", Json());
    if (prompt->is_array() && !prompt->empty() && !prompt->front().is_number()) {
      if (prompt->size() > kMaxJobs) {
        fail_field("prompt", "at most " + std::to_string(kMaxJobs) + " prompts", *prompt);
      }
      std::vector<Prompt> prompts;
      for (std::size_t i = 0; i < prompt->size(); ++i) {
        prompts.push_back(read_one((*prompt)[i], "prompt[" + std::to_string(i) + "]"));
      }
      return prompts;
    }
    return {read_one(*prompt, "prompt")};
  }

 private:
  Prompt read_one(const Json& value, const std::string& name) const {
    if (value.is_string()) return read_text(value.get<std::string>(), name);
    Prompt prompt{parse_ids(value, name, target_), {}};
    if (echoes_ && target_.tokenizer) prompt.text = target_.tokenizer->decode(prompt.ids);
    return prompt;
  }

  Prompt read_text(std::string text, const std::string& name) const {
    const Tokenizer& tokenizer = target_.require_tokenizer("prompt");
    std::vector<TokenId> ids = tokenizer.encode(text);
    if (adds_bos_) ids.insert(ids.begin(), tokenizer.bos_id());
    if (ids.empty()) fail_field(name, "a text", Json(text));
    return {std::move(ids), std::move(text)};
  }

  const Target& target_;
  bool adds_bos_;
  bool echoes_;
};

void refuse_what_is_missing(const Fields& fields, std::size_t n) {
  if (fields.find("suffix") != nullptr) {
    fields.unsupported("suffix", "inserting between two texts isn't supported");
  }
  if (fields.size("best_of", 1, kMaxJobs).value_or(n) != n) {
    fields.unsupported("best_of", "only as many as n are supported");
  }
}

}  // namespace

std::size_t Request::n_prompt_tokens() const {
  std::size_t n = 0;
  for (std::size_t i = 0; i < jobs.size(); i += n_per_prompt) n += jobs[i].n_prompt;
  return n;
}

Request parse_completion(const Json& body, const Target& target) {
  const Fields fields(body);
  Request request{.kind = Request::Kind::completion, .model = fields.string("model").value_or("")};
  request.n_per_prompt = fields.size("n", 1, kMaxJobs).value_or(1);
  refuse_what_is_missing(fields, request.n_per_prompt);
  request.stream = fields.boolean("stream").value_or(false);
  request.include_usage = parse_include_usage(fields);
  const auto n_logprobs = fields.size("logprobs", 0, kMaxLogprobs);
  request.logprobs = n_logprobs.has_value();
  if (request.logprobs) target.require_tokenizer("logprobs");
  const bool echo = fields.boolean("echo").value_or(false);
  if (echo) target.require_tokenizer("echo");

  // Who scores a text counts its tokens, and doesn't expect one that he hasn't sent.
  const bool scores = echo && request.logprobs;
  const bool adds_bos = fields.boolean("add_special_tokens").value_or(!scores);
  const std::vector<Prompt> prompts = PromptReader(target, adds_bos, echo).read(fields);
  if (prompts.size() * request.n_per_prompt > kMaxJobs) {
    throw ApiError(400, "n: expected at most " + std::to_string(kMaxJobs) + " texts in all", "n");
  }

  const SamplingOptions sampling = parse_sampling(fields, target);
  const std::vector<std::string> stop = parse_stop(fields);
  const std::size_t least = echo ? 0 : 1;
  const auto max_tokens = fields.size("max_tokens", least, std::numeric_limits<std::size_t>::max());
  for (const Prompt& prompt : prompts) {
    for (std::size_t i = 0; i < request.n_per_prompt; ++i) {
      Job job = target.make_job(prompt.ids);
      job.options.max_new_tokens =
          max_tokens.value_or(target.default_new_tokens(job.n_prompt, kDefaultNewTokens));
      job.options.sampling = sampling;
      job.options.sampling->seed += i;
      job.options.stop = stop;
      job.options.logprobs = request.logprobs;
      job.options.top_logprobs = n_logprobs.value_or(0);
      job.scores_prompt = scores || max_tokens == std::size_t{0};
      job.options.prompt_logprobs_from = scores ? 0 : job.n_prompt - 1;
      request.jobs.push_back(std::move(job));
    }
    if (echo) request.echo.push_back(prompt.text);
  }
  return request;
}

}  // namespace mixtral::api

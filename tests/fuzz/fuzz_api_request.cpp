// Any bytes are a request that can be carried out, or are refused with status 400. The first byte chooses the
// endpoint.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/fields.hpp"
#include "api/request.hpp"
#include "api/score.hpp"
#include "check.hpp"
#include "mixtral/generate/stop_matcher.hpp"
#include "text/tokenizer_files.hpp"

namespace {

using namespace mixtral;

api::Target make_target() {
  const auto tokenizer = mixtral_test::small_tokenizer();
  return {.tokenizer = tokenizer,
          .chat_version = ChatVersion::v3,
          .vocab = tokenizer->vocab_size(),
          .n_ctx = 512,
          .sampling = {},
          .max_new_tokens = {},
          .eos_ids = {tokenizer->eos_id()}};
}

void check_jobs(const std::vector<api::Job>& jobs, const api::Target& target) {
  check(!jobs.empty() && jobs.size() <= api::kMaxJobs);
  for (const api::Job& job : jobs) {
    check(job.n_prompt > 0 && job.n_prompt < target.n_ctx);
    check(job.options.max_new_tokens > 0 || job.scores_prompt);
    validate(*job.options.sampling, target.vocab);
    StopMatcher matcher(job.options.stop);
  }
}

void check_request(std::uint8_t endpoint, std::string_view text, const api::Target& target) {
  const api::Json body = api::parse_body(text);
  if (endpoint % 3 == 0) return check_jobs(api::parse_completion(body, target).jobs, target);
  if (endpoint % 3 == 1) return check_jobs(api::parse_chat(body, target).jobs, target);
  check_jobs(api::parse_score(body, target).jobs, target);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const api::Target target = make_target();
  if (size == 0) return 0;
  try {
    check_request(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1}, target);
  } catch (const api::ApiError& error) {
    check(error.status() == 400 && !error.to_json().dump().empty());
  } catch (const Error& error) {
    check(api::to_api_error(error).status() == 400);
  }
  return 0;
}

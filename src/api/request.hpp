// Requests of the OpenAI API.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "api/error.hpp"
#include "api/job.hpp"
#include "api/target.hpp"

namespace mixtral::api {

inline constexpr std::size_t kMaxJobs = 1024;  ///< texts that one request can ask for

struct Request {
  enum class Kind { completion, chat };

  Kind kind;
  std::string model = {};         ///< empty: not named
  std::vector<Job> jobs = {};     ///< in the order of the answer's choices; n of each prompt together
  std::size_t n_per_prompt = 1;
  std::vector<std::string> echo = {};  ///< of each prompt, if it is to come before its texts
  bool logprobs = false;
  bool has_tools = false;         ///< the answer may call some
  std::string call_prefix = {};   ///< what the prompt says already of the answer's tool calls
  bool must_call = false;         ///< the prompt ends in [TOOL_CALLS]
  bool stream = false;
  bool include_usage = false;     ///< in a stream

  std::size_t n_prompt_tokens() const;
};

/// The body of POST /v1/completions. Throws ApiError.
Request parse_completion(const Json& body, const Target& target);

/// The body of POST /v1/chat/completions. Throws ApiError.
Request parse_chat(const Json& body, const Target& target);

}  // namespace mixtral::api

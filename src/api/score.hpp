// The scoring request of the Mixtral-8x22B model card: Azure ML's online endpoints.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "api/error.hpp"
#include "api/job.hpp"
#include "api/target.hpp"

namespace mixtral::api {

struct ScoreRequest {
  /// What input_data was, and so what the answer is.
  enum class Form {
    object,  ///< {"input_string": [...]} -> [{"0": ..., "1": ...}]
    list,    ///< ["...", ...] -> ["...", ...]
    chat,    ///< messages -> {"output": ...}
  };

  Form form;
  std::vector<Job> jobs;
  std::vector<std::string> echo;  ///< comes before the text of each job, if not empty
};

/// The body of POST /score. Throws ApiError.
ScoreRequest parse_score(const Json& body, const Target& target);

Json make_score_answer(const ScoreRequest& request, std::span<const Result> results);

}  // namespace mixtral::api

// One line of a batch: a request, and the result for it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/answer.hpp"
#include "api/request.hpp"
#include "api/score.hpp"

namespace mixtral::cli {

using Json = api::Json;

struct BatchLine {
  std::size_t number;   ///< 1 = the first
  Json custom_id = {};  ///< null: the line has none
  std::variant<std::monostate, api::Request, api::ScoreRequest> request = {};
  std::vector<api::Result> results = {};  ///< of each job

  const std::vector<api::Job>& jobs() const;
};

/// The custom_id of a line, null where there is none to be found.
Json custom_id_of(std::string_view text);

/// Reads a line of the OpenAI batch API or of Azure's /score. Throws api::ApiError: with status 0 for what
/// is no request at all.
BatchLine parse_line(std::string_view text, std::size_t number, const api::Target& target);

/// The result in the form of the OpenAI batch API, with the number of the line.
Json describe(const BatchLine& line, const std::string& model, const Tokenizer* tokenizer);

/// The same for a line that got no answer.
Json describe_failure(std::size_t number, const Json& custom_id, const api::ApiError& error);

}  // namespace mixtral::cli

// What an evaluation asks of a model.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "eval/metrics.hpp"

namespace mixtral::eval {

/// A prompt and how it could go on.
struct ScoreRequest {
  std::string context;
  std::string continuation;
};

/// Counts finished requests.
using ProgressCallback = std::function<void(std::size_t done)>;

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;

  /// How likely each continuation is after its context, in the order of `requests`.
  virtual std::vector<Likelihood> score(std::span<const ScoreRequest> requests,
                                        const ProgressCallback& on_progress) = 0;

  /// The likeliest token again and again after each of `contexts`, up to a stop string (not included),
  /// the end of the text, or `max_tokens`.
  virtual std::vector<std::string> generate(std::span<const std::string> contexts,
                                            std::span<const std::string> stop_strings,
                                            std::size_t max_tokens,
                                            const ProgressCallback& on_progress) = 0;
};

}  // namespace mixtral::eval

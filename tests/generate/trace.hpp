// What a generation gave, to compare with what another one did.
#pragma once

#include <string>
#include <vector>

#include "mixtral/generate/model.hpp"

namespace mixtral::test {

struct Trace {
  std::vector<TokenId> ids;
  std::vector<double> logprobs;
  std::string text;
  bool operator==(const Trace&) const = default;

  void add(const TokenEvent& event) {
    ids.push_back(event.id);
    logprobs.push_back(event.logprob);
    text += event.text;
  }

  /// To at most `n` tokens; the text stays.
  void shorten(std::size_t n) {
    ids.resize(std::min(n, ids.size()));
    logprobs.resize(ids.size());
  }
};

/// In a context of its own.
inline Trace alone(const Model& model, const std::vector<TokenId>& prompt,
                   const GenerateOptions& options) {
  Trace trace;
  model.generate(prompt, options).run([&](const TokenEvent& event) {
    trace.add(event);
    return true;
  });
  return trace;
}

}  // namespace mixtral::test

// Fields that several requests share.
#pragma once

#include "api/fields.hpp"
#include "api/target.hpp"

namespace mixtral::api {

/// temperature, top_p, top_k, min_p, the penalties, logit_bias and seed over the model's defaults.
SamplingOptions parse_sampling(const Fields& fields, const Target& target);

/// stop: nothing, a string, or a list of them.
std::vector<std::string> parse_stop(const Fields& fields);

/// Of stream_options.
bool parse_include_usage(const Fields& fields);

/// The messages in `array`, which is called `name`.
std::vector<ChatMessage> parse_messages(const Json& array, const std::string& name);

/// The ids in `array`, which is called `name`: not empty, all in the vocabulary.
std::vector<TokenId> parse_ids(const Json& array, const std::string& name, const Target& target);

/// tools and tool_choice.
struct ToolFields {
  std::string tools;   ///< as format_chat takes them; empty: none
  bool must_call = false;
  std::string function = {};  ///< the one to call
};
ToolFields parse_tools(const Fields& fields);

}  // namespace mixtral::api

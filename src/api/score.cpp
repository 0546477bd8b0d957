#include "api/score.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "api/common_fields.hpp"
#include "api/request.hpp"

namespace mixtral::api {
namespace {

constexpr std::size_t kDefaultNewTokens = 256;  // as `mixtral generate` has it

bool is_chat(const Json& inputs) { return inputs.is_array() && !inputs.empty() && inputs.front().is_object(); }

/// Inputs, and the parameters from both places where they can stand; those inside input_data win.
struct Inputs {
  ScoreRequest::Form form = ScoreRequest::Form::list;
  Json strings;
  std::string name = "input_data";
  Json parameters = Json::object();
};

void require_own_eos(const Fields& parameters, const Target& target) {
  const Json* value = parameters.find("eos_token_id");
  if (value == nullptr) return;
  const Json ids = value->is_array() ? *value : Json::array({*value});
  for (const Json& id : ids) {
    const bool is_own = id.is_number_integer() &&
                        std::find(target.eos_ids.begin(), target.eos_ids.end(), id) != target.eos_ids.end();
    if (!is_own) parameters.unsupported("eos_token_id", "only the model's own ends a text");
  }
}

/// What would change the answer and can't be honoured; other unknown parameters are ignored, as Azure does.
void refuse_what_is_missing(const Fields& parameters, const Target& target) {
  for (const char* key : {"n", "best_of", "num_beams", "num_return_sequences"}) {
    if (parameters.size(key, 1, kMaxJobs).value_or(1) != 1) parameters.unsupported(key, "only 1 is supported");
  }
  for (const char* key : {"use_beam_search", "ignore_eos"}) {
    if (parameters.boolean(key).value_or(false)) parameters.unsupported(key, "only false is supported");
  }
  if (!parameters.boolean("add_generation_prompt").value_or(true)) {
    parameters.unsupported("add_generation_prompt", "only true is supported");
  }
  require_own_eos(parameters, target);
}

struct Parameters {
  GenerateOptions generate;
  bool echoes;
};

Parameters parse_parameters(const Json& object, const Target& target) {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  const Fields parameters = fields_of(object, "parameters");
  refuse_what_is_missing(parameters, target);
  GenerateOptions options;
  SamplingOptions sampling = parse_sampling(parameters, target);
  const auto do_sample = parameters.boolean("do_sample");
  const bool has_temperature = parameters.find("temperature") != nullptr;
  if (do_sample == false) sampling.temperature = 0;
  if (do_sample == true && !has_temperature && sampling.temperature == 0) sampling.temperature = 1;
  options.sampling = std::move(sampling);
  const auto modern = parameters.size("max_new_tokens", 1, kMost);
  const auto legacy = parameters.size("max_gen_len", 1, kMost);
  options.max_new_tokens = modern.value_or(legacy.value_or(0));  // 0: not said
  options.stop = parse_stop(parameters);
  return {std::move(options), parameters.boolean("return_full_text").value_or(true)};
}

void take_parameters(const Fields& fields, const char* key, const Target& target, Json& parameters) {
  const auto object = fields.object(key);
  if (!object) return;
  parse_parameters(object->value(), target);  // what another place overrides must be right, too
  parameters.update(object->value());
}

Inputs read_inputs(const Fields& fields, const Target& target) {
  Inputs inputs;
  for (const char* key : {"parameters", "params"}) take_parameters(fields, key, target, inputs.parameters);
  const Json* data = fields.find("input_data");
  if (data == nullptr) fail_field("input_data", "an object or a list", Json());
  if (data->is_object()) {
    const Fields object = fields_of(*data, "input_data");
    take_parameters(object, "parameters", target, inputs.parameters);
    const Json* strings = object.find("input_string");
    if (strings == nullptr) object.fail("input_string", "a list", Json());
    inputs.form = ScoreRequest::Form::object;
    inputs.strings = *strings;
    inputs.name = "input_data.input_string";
  } else {
    inputs.strings = *data;
  }
  if (!inputs.strings.is_array() || inputs.strings.empty() || inputs.strings.size() > kMaxJobs) {
    fail_field(inputs.name, "a list of 1 .. " + std::to_string(kMaxJobs), inputs.strings);
  }
  if (is_chat(inputs.strings)) inputs.form = ScoreRequest::Form::chat;
  return inputs;
}

Job make_text_job(const Json& value, const std::string& name, const Target& target) {
  if (!value.is_string()) fail_field(name, "a string", value);
  const Tokenizer& tokenizer = target.require_tokenizer("input_data");
  std::vector<TokenId> ids = tokenizer.encode(value.get_ref<const std::string&>());
  ids.insert(ids.begin(), tokenizer.bos_id());
  return target.make_job(std::move(ids));
}

}  // namespace

ScoreRequest parse_score(const Json& body, const Target& target) {
  const Inputs inputs = read_inputs(Fields(body), target);
  const auto [options, echoes] = parse_parameters(inputs.parameters, target);
  ScoreRequest request{.form = inputs.form, .jobs = {}, .echo = {}};
  if (inputs.form == ScoreRequest::Form::chat) {
    request.jobs.push_back(target.make_job(Conversation{parse_messages(inputs.strings, inputs.name)}));
  } else {
    for (std::size_t i = 0; i < inputs.strings.size(); ++i) {
      const std::string name = inputs.name + "[" + std::to_string(i) + "]";
      request.jobs.push_back(make_text_job(inputs.strings[i], name, target));
      if (echoes) request.echo.push_back(inputs.strings[i].get<std::string>());
    }
  }
  for (Job& job : request.jobs) {
    job.options = options;
    if (job.options.max_new_tokens == 0) {
      job.options.max_new_tokens = target.default_new_tokens(job.n_prompt, kDefaultNewTokens);
    }
  }
  return request;
}

Json make_score_answer(const ScoreRequest& request, std::span<const Result> results) {
  if (request.form == ScoreRequest::Form::chat) return {{"output", results.front().text()}};
  Json texts = request.form == ScoreRequest::Form::list ? Json::array() : Json::object();
  for (std::size_t i = 0; i < results.size(); ++i) {
    std::string text = (request.echo.empty() ? "" : request.echo[i]) + results[i].text();
    if (request.form == ScoreRequest::Form::list) {
      texts.push_back(std::move(text));
    } else {
      texts[std::to_string(i)] = std::move(text);
    }
  }
  if (request.form == ScoreRequest::Form::list) return texts;
  Json answer = Json::array();
  answer.push_back(std::move(texts));
  return answer;
}

}  // namespace mixtral::api

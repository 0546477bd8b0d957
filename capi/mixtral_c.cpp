// The C interface: checks what C can't express, and hands everything else to the C++ library.
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conversions.hpp"
#include "handles.hpp"

using namespace mixtral::capi;

static_assert(MIXTRAL_VERSION == MIXTRAL_PROJECT_VERSION, "mixtral.h and CMakeLists.txt differ");

extern "C" {

int32_t mixtral_version(void) { return MIXTRAL_VERSION; }

const char* mixtral_last_error(void) { return last_error; }

// --- Models ------------------------------------------------------------------------------------

mixtral_status mixtral_load(const char* path, const mixtral_load_params* params,
                            mixtral_model** model) {
  return guard([&] {
    require(model, "model") = nullptr;
    *model = new mixtral_model{mixtral::load(&require(path, "path"), load_options(params))};
  });
}

void mixtral_model_free(mixtral_model* model) { delete model; }

mixtral_status mixtral_model_info(const mixtral_model* model, mixtral_info* info) {
  return guard([&] {
    const mixtral::Mixtral& network = require(model, "model").model.network();
    const mixtral::Config& config = network.config();
    mixtral_info value = {};
    value.isa = number_from_1(network.isa());
    value.gemm = number_from_1(network.gemm());
    value.precision = static_cast<std::int32_t>(network.precision());
    value.n_layers = config.n_layers;
    value.hidden = config.hidden;
    value.ffn = config.ffn;
    value.n_heads = config.n_heads;
    value.n_kv_heads = config.n_kv_heads;
    value.head_dim = config.head_dim;
    value.n_experts = config.n_experts;
    value.top_k = config.top_k;
    value.vocab = config.vocab;
    value.max_position = config.max_position;
    value.sliding_window = config.sliding_window.value_or(0);
    value.weight_bytes = network.checkpoint().weight_bytes();
    value.bos_token = config.bos_id;
    value.has_tokenizer = model->model.has_tokenizer();
    value.chat_version = model->model.chat_version() == mixtral::ChatVersion::v1 ? 1 : 3;
    write_struct(value, info, "info");
  });
}

mixtral_status mixtral_eos_tokens(const mixtral_model* model, mixtral_token* tokens,
                                  size_t capacity, size_t* n_tokens) {
  return guard([&] {
    require(n_tokens, "n_tokens") = 0;
    const std::vector<mixtral_token>& ids = require(model, "model").model.config().eos_ids;
    write_buffer(std::span(ids), tokens, capacity, *n_tokens);
  });
}

// --- Text and tokens ---------------------------------------------------------------------------

mixtral_status mixtral_tokenize(const mixtral_model* model, const char* text, size_t text_size,
                                uint32_t flags, mixtral_token* tokens, size_t capacity,
                                size_t* n_tokens) {
  return guard([&] {
    require(n_tokens, "n_tokens") = 0;
    const mixtral::Model& handle = require(model, "model").model;
    if ((flags & ~static_cast<std::uint32_t>(MIXTRAL_NO_BOS)) != 0) {
      reject("flags: expected MIXTRAL_NO_BOS or 0, found " + std::to_string(flags));
    }
    const std::string_view whole = text_of(text, text_size, "text");
    const std::vector<mixtral_token> ids =
        flags == MIXTRAL_NO_BOS ? handle.tokenizer().encode(whole) : handle.tokenize(whole);
    write_buffer(std::span(ids), tokens, capacity, *n_tokens);
  });
}

mixtral_status mixtral_detokenize(const mixtral_model* model, const mixtral_token* tokens,
                                  size_t n_tokens, char* text, size_t capacity, size_t* text_size) {
  return guard([&] {
    require(text_size, "text_size") = 0;
    const std::string whole =
        require(model, "model").model.tokenizer().decode(array_of(tokens, n_tokens, "tokens"));
    write_buffer(std::span<const char>(whole), text, capacity, *text_size);
  });
}

mixtral_status mixtral_format_chat(const mixtral_model* model, const mixtral_message* messages,
                                   size_t n_messages, mixtral_token* tokens, size_t capacity,
                                   size_t* n_tokens) {
  return guard([&] {
    require(n_tokens, "n_tokens") = 0;
    const mixtral::Model& handle = require(model, "model").model;
    const std::vector<mixtral_token> ids = mixtral::format_chat(
        handle.tokenizer(), handle.chat_version(), chat_messages(messages, n_messages));
    write_buffer(std::span(ids), tokens, capacity, *n_tokens);
  });
}

// --- Contexts ----------------------------------------------------------------------------------

mixtral_status mixtral_context_create(const mixtral_model* model,
                                      const mixtral_context_params* params,
                                      mixtral_context** context) {
  return guard([&] {
    require(context, "context") = nullptr;
    *context = new mixtral_context{
        mixtral::Context(require(model, "model").model, context_options(params))};
  });
}

void mixtral_context_free(mixtral_context* context) { delete context; }

mixtral_status mixtral_context_clone(const mixtral_context* context, mixtral_context** clone) {
  return guard([&] {
    require(clone, "clone") = nullptr;
    *clone = new mixtral_context{require(context, "context").context.clone()};
  });
}

mixtral_status mixtral_context_tokens(const mixtral_context* context, mixtral_token* tokens,
                                      size_t capacity, size_t* n_tokens) {
  return guard([&] {
    require(n_tokens, "n_tokens") = 0;
    write_buffer(require(context, "context").context.tokens(), tokens, capacity, *n_tokens);
  });
}

mixtral_status mixtral_context_rewind(mixtral_context* context, size_t size) {
  return guard([&] { require(context, "context").context.rewind(size); });
}

// --- Logits ------------------------------------------------------------------------------------

mixtral_status mixtral_eval(mixtral_context* context, const mixtral_token* tokens, size_t n_tokens,
                            const float** logits) {
  return guard([&] {
    require(logits, "logits") = nullptr;
    *logits = require(context, "context").context.eval(array_of(tokens, n_tokens, "tokens")).data();
  });
}

mixtral_status mixtral_eval_all(mixtral_context* context, const mixtral_token* tokens,
                                size_t n_tokens, mixtral_logits_callback on_logits,
                                void* user_data) {
  return guard([&] {
    require(on_logits, "on_logits");
    const auto forward = [&](std::size_t first, mixtral::MatrixView<const float> logits) {
      const mixtral_logits_event event = {sizeof(event), 0,           first,
                                          logits.rows,   logits.cols, logits.data};
      if (on_logits(&event, user_data) != 0) cancel("evaluation");
    };
    require(context, "context").context.eval(array_of(tokens, n_tokens, "tokens"), forward);
  });
}

// --- Generation --------------------------------------------------------------------------------

mixtral_status mixtral_default_sampling(const mixtral_model* model,
                                        mixtral_sampling_params* sampling) {
  return guard([&] {
    const mixtral::SamplingOptions options = require(model, "model").model.default_sampling();
    mixtral_sampling_params value = {};
    value.repetition_penalty = options.repetition_penalty;
    value.temperature = options.temperature;
    value.top_k = options.top_k;
    value.top_p = options.top_p;
    value.min_p = options.min_p;
    write_struct(value, sampling, "sampling");
  });
}

mixtral_status mixtral_generate(mixtral_context* context, const char* prompt, size_t prompt_size,
                                const mixtral_generate_params* params,
                                mixtral_token_callback on_token, void* user_data) {
  return guard([&] {
    require(on_token, "on_token");
    const std::string_view text = text_of(prompt, prompt_size, "prompt");
    stream(require(context, "context").context.generate(text, generate_options(params)), on_token,
           user_data);
  });
}

mixtral_status mixtral_generate_tokens(mixtral_context* context, const mixtral_token* tokens,
                                       size_t n_tokens, const mixtral_generate_params* params,
                                       mixtral_token_callback on_token, void* user_data) {
  return guard([&] {
    require(on_token, "on_token");
    const std::span<const mixtral_token> ids = array_of(tokens, n_tokens, "tokens");
    stream(require(context, "context").context.generate(ids, generate_options(params)), on_token,
           user_data);
  });
}

mixtral_status mixtral_chat(mixtral_context* context, const mixtral_message* messages,
                            size_t n_messages, const mixtral_generate_params* params,
                            mixtral_token_callback on_token, void* user_data) {
  return guard([&] {
    require(on_token, "on_token");
    const std::vector<mixtral::ChatMessage> conversation = chat_messages(messages, n_messages);
    stream(require(context, "context").context.chat(conversation, generate_options(params)),
           on_token, user_data);
  });
}

}  // extern "C"

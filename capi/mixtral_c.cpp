// The C interface: checks what C can't express, and hands everything else to the C++ library.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral.h"
#include "mixtral/mixtral.hpp"

struct mixtral_model {
  mixtral::Model model;
};

struct mixtral_context {
  mixtral::Context context;
};

namespace {

static_assert(MIXTRAL_VERSION == MIXTRAL_PROJECT_VERSION, "mixtral.h and CMakeLists.txt differ");

using mixtral::Error;
using mixtral::ErrorCode;

// --- Errors ------------------------------------------------------------------------------------

static_assert(MIXTRAL_INVALID_ARGUMENT == static_cast<int>(ErrorCode::invalid_argument));
static_assert(MIXTRAL_IO == static_cast<int>(ErrorCode::io));
static_assert(MIXTRAL_FORMAT == static_cast<int>(ErrorCode::format));
static_assert(MIXTRAL_UNSUPPORTED == static_cast<int>(ErrorCode::unsupported));
static_assert(MIXTRAL_CAPACITY == static_cast<int>(ErrorCode::capacity));
static_assert(MIXTRAL_OUT_OF_MEMORY == static_cast<int>(ErrorCode::out_of_memory));
static_assert(MIXTRAL_CANCELLED == static_cast<int>(ErrorCode::cancelled));
static_assert(MIXTRAL_INTERNAL == static_cast<int>(ErrorCode::internal));

thread_local std::string error_text;
thread_local const char* last_error = "";

mixtral_status fail(ErrorCode code, const char* message) noexcept {
  try {
    error_text = message;
    last_error = error_text.c_str();
  } catch (const std::bad_alloc&) {
    last_error = "out of memory";
  }
  return static_cast<mixtral_status>(code);
}

/// Runs `function` and turns whatever it throws into a status and a message.
template <class F>
mixtral_status guard(F&& function) noexcept {
  try {
    function();
    return MIXTRAL_OK;
  } catch (const Error& error) {
    return fail(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "out of memory");
  } catch (const std::exception& error) {
    return fail(ErrorCode::internal, error.what());
  } catch (...) {
    return fail(ErrorCode::internal, "an exception that is no std::exception");
  }
}

[[noreturn]] void reject(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

template <class T>
T& require(T* pointer, const char* name) {
  if (pointer == nullptr) reject(std::string(name) + ": expected a pointer, found NULL");
  return *pointer;
}

// --- Arguments ---------------------------------------------------------------------------------

template <class T>
std::span<const T> array_of(const T* data, std::size_t size, const char* name) {
  if (size > 0) require(data, name);
  return {data, size};
}

std::string_view text_of(const char* data, std::size_t size, const char* name) {
  const std::span<const char> text = array_of(data, size, name);
  return {text.data(), text.size()};
}

/// The caller's params as this version knows them: members that the caller doesn't have are zero,
/// those that only the caller has must be.
template <class Params>
Params read_params(const Params* params, const char* name) {
  Params known{};
  if (params == nullptr) return known;
  const std::size_t size = params->struct_size;
  if (size < sizeof(Params)) {  // all of the first version
    reject(std::string(name) + ".struct_size: expected at least " + std::to_string(sizeof(Params)) +
           ", found " + std::to_string(size));
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(params);
  if (std::any_of(bytes + sizeof(Params), bytes + size, [](auto byte) { return byte != 0; })) {
    reject(std::string(name) + ": has members that this version of the library doesn't know");
  }
  std::memcpy(&known, params, sizeof(Params));
  return known;
}

/// Fills a struct of the caller's size.
template <class Struct>
void write_struct(Struct value, Struct* out, const char* name) {
  const std::size_t size = require(out, name).struct_size;
  if (size < sizeof(Struct)) {
    reject(std::string(name) + "->struct_size: expected at least " +
           std::to_string(sizeof(Struct)) + ", found " + std::to_string(size));
  }
  value.struct_size = out->struct_size;
  std::memcpy(out, &value, sizeof(Struct));
  std::memset(reinterpret_cast<unsigned char*>(out) + sizeof(Struct), 0, size - sizeof(Struct));
}

/// Fills a buffer of the caller's, or tells only the size when there is none.
template <class T>
void write_buffer(std::span<const T> values, T* buffer, std::size_t capacity, std::size_t& size) {
  size = values.size();
  if (buffer == nullptr && capacity == 0) return;
  require(buffer, "buffer");
  if (values.size() > capacity) {
    throw Error(ErrorCode::capacity, "buffer: expected room for " + std::to_string(values.size()) +
                                         ", found " + std::to_string(capacity));
  }
  std::copy(values.begin(), values.end(), buffer);
}

/// The enumerator that `value` stands for: 0 is the first.
template <class Enum>
Enum enum_of(std::int32_t value, Enum last, const char* name) {
  if (value < 0 || value > static_cast<std::int32_t>(last)) {
    reject(std::string(name) + ": expected 0 to " +
           std::to_string(static_cast<std::int32_t>(last)) + ", found " + std::to_string(value));
  }
  return static_cast<Enum>(value);
}

/// The same where 0 stands for none and 1 is the first.
template <class Enum>
std::optional<Enum> optional_enum_of(std::int32_t value, Enum last, const char* name) {
  const std::int32_t n_values = static_cast<std::int32_t>(last) + 1;
  if (value < 0 || value > n_values) {
    reject(std::string(name) + ": expected 0 to " + std::to_string(n_values) + ", found " +
           std::to_string(value));
  }
  if (value == 0) return std::nullopt;
  return static_cast<Enum>(value - 1);
}

template <class Enum>
constexpr std::int32_t number_from_1(Enum value) {
  return static_cast<std::int32_t>(value) + 1;
}

using mixtral::DType;
using mixtral::FinishReason;
using mixtral::GemmKind;
using mixtral::Isa;
using mixtral::Overflow;
using mixtral::Precision;
using mixtral::Role;

static_assert(MIXTRAL_ISA_BASELINE == number_from_1(Isa::baseline));
static_assert(MIXTRAL_ISA_AVX2 == number_from_1(Isa::avx2));
static_assert(MIXTRAL_ISA_AVX512 == number_from_1(Isa::avx512));
static_assert(MIXTRAL_ISA_AVX2_VNNI == number_from_1(Isa::avx2_vnni));
static_assert(MIXTRAL_GEMM_NATIVE == number_from_1(GemmKind::native));
static_assert(MIXTRAL_GEMM_ONEDNN == number_from_1(GemmKind::onednn));
static_assert(MIXTRAL_GEMM_OPENBLAS == number_from_1(GemmKind::openblas));
static_assert(MIXTRAL_GEMM_EIGEN == number_from_1(GemmKind::eigen));
static_assert(MIXTRAL_TYPE_F32 == number_from_1(DType::f32));
static_assert(MIXTRAL_TYPE_F16 == number_from_1(DType::f16));
static_assert(MIXTRAL_TYPE_BF16 == number_from_1(DType::bf16));
static_assert(MIXTRAL_FINISH_EOS == number_from_1(FinishReason::eos));
static_assert(MIXTRAL_FINISH_STOP == number_from_1(FinishReason::stop));
static_assert(MIXTRAL_FINISH_LENGTH == number_from_1(FinishReason::length));
static_assert(MIXTRAL_PRECISION_AUTO == static_cast<int>(Precision::automatic));
static_assert(MIXTRAL_PRECISION_F32 == static_cast<int>(Precision::f32));
static_assert(MIXTRAL_ROLE_SYSTEM == static_cast<int>(Role::system));
static_assert(MIXTRAL_ROLE_USER == static_cast<int>(Role::user));
static_assert(MIXTRAL_ROLE_ASSISTANT == static_cast<int>(Role::assistant));
static_assert(MIXTRAL_OVERFLOW_ERROR == static_cast<int>(Overflow::error));
static_assert(MIXTRAL_OVERFLOW_TRUNCATE == static_cast<int>(Overflow::truncate));

// --- Conversions -------------------------------------------------------------------------------

[[noreturn]] void cancel(const char* what) {
  throw Error(ErrorCode::cancelled, std::string(what) + ": stopped by its callback");
}

/// Calls back with progress; true = go on.
bool report(mixtral_progress_callback callback, void* user_data, std::size_t done,
            std::size_t total) {
  const mixtral_progress_event event = {sizeof(event), 0, done, total};
  return callback(&event, user_data) == 0;
}

mixtral::LoadOptions load_options(const mixtral_load_params* given) {
  const mixtral_load_params params = read_params(given, "mixtral_load_params");
  mixtral::LoadOptions options;
  options.compute.isa = optional_enum_of(params.isa, Isa::avx2_vnni, "mixtral_load_params.isa");
  options.compute.gemm = optional_enum_of(params.gemm, GemmKind::eigen, "mixtral_load_params.gemm");
  options.compute.precision =
      enum_of(params.precision, Precision::f32, "mixtral_load_params.precision");
  if (params.on_progress != nullptr) {
    options.on_progress = [params](const mixtral::LoadProgress& progress) {
      return report(params.on_progress, params.user_data, progress.done, progress.total);
    };
  }
  return options;
}

mixtral::ContextOptions context_options(const mixtral_context_params* given) {
  const mixtral_context_params params = read_params(given, "mixtral_context_params");
  mixtral::ContextOptions options;
  options.n_ctx = params.n_ctx;
  options.cache_dtype =
      optional_enum_of(params.cache_type, DType::bf16, "mixtral_context_params.cache_type");
  if (params.chunk_size != 0) options.chunk_size = params.chunk_size;
  options.n_threads = params.n_threads;
  return options;
}

mixtral::SamplingOptions sampling_options(const mixtral_sampling_params& given) {
  const mixtral_sampling_params params = read_params(&given, "mixtral_sampling_params");
  if (params.reserved != 0) reject("mixtral_sampling_params.reserved: expected 0");
  mixtral::SamplingOptions options;
  for (const mixtral_logit_bias& bias :
       array_of(params.logit_bias, params.n_logit_bias, "mixtral_sampling_params.logit_bias")) {
    options.logit_bias.push_back({bias.token, bias.bias});
  }
  if (params.repetition_penalty != 0) options.repetition_penalty = params.repetition_penalty;
  options.frequency_penalty = params.frequency_penalty;
  options.presence_penalty = params.presence_penalty;
  options.temperature = params.temperature;
  options.top_k = params.top_k;
  if (params.top_p != 0) options.top_p = params.top_p;
  options.min_p = params.min_p;
  options.seed = params.seed;
  return options;
}

mixtral::GenerateOptions generate_options(const mixtral_generate_params* given) {
  const mixtral_generate_params params = read_params(given, "mixtral_generate_params");
  mixtral::GenerateOptions options;
  options.max_new_tokens = params.max_new_tokens;
  if (params.sampling != nullptr) options.sampling = sampling_options(*params.sampling);
  for (const mixtral_text& stop :
       array_of(params.stop, params.n_stop, "mixtral_generate_params.stop")) {
    options.stop.emplace_back(text_of(stop.data, stop.size, "mixtral_generate_params.stop.data"));
  }
  options.logprobs = params.logprobs != 0;
  options.top_logprobs = params.top_logprobs;
  options.overflow =
      enum_of(params.overflow, Overflow::truncate, "mixtral_generate_params.overflow");
  if (params.on_prompt != nullptr) {
    options.on_prompt = [params](const mixtral::PromptProgress& progress) {
      return report(params.on_prompt, params.on_prompt_data, progress.done, progress.total);
    };
  }
  return options;
}

std::vector<mixtral::ChatMessage> chat_messages(const mixtral_message* messages,
                                                std::size_t n_messages) {
  std::vector<mixtral::ChatMessage> result;
  for (const mixtral_message& message : array_of(messages, n_messages, "messages")) {
    const std::string_view content =
        text_of(message.content, message.content_size, "mixtral_message.content");
    result.push_back(
        {enum_of(message.role, Role::assistant, "mixtral_message.role"), std::string(content)});
  }
  return result;
}

/// Hands each token of `generation` to the callback.
void stream(mixtral::Generation generation, mixtral_token_callback on_token, void* user_data) {
  std::vector<mixtral_token_logprob> top_logprobs;
  const auto completion = generation.run([&](const mixtral::TokenEvent& token) {
    top_logprobs.clear();
    for (const auto& [id, logprob] : token.top_logprobs) top_logprobs.push_back({id, logprob});
    mixtral_token_event event = {};
    event.struct_size = sizeof(event);
    event.token = token.id;
    event.text = token.text.data();
    event.text_size = token.text.size();
    event.logprob = token.logprob;
    event.top_logprobs = top_logprobs.data();
    event.n_top_logprobs = top_logprobs.size();
    if (token.finish) event.finish = number_from_1(*token.finish);
    return on_token(&event, user_data) == 0;
  });
  if (completion.finish == FinishReason::cancelled) cancel("generation");
}

}  // namespace

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

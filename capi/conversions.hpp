// Between the types of mixtral.h and those of the C++ library.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "arguments.hpp"

namespace mixtral::capi {

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
static_assert(MIXTRAL_TYPE_Q8_0 == number_from_1(DType::q8_0));
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

[[noreturn]] inline void cancel(const char* what) {
  throw Error(ErrorCode::cancelled, std::string(what) + ": stopped by its callback");
}

/// Calls C back with progress; true = go on.
struct ProgressReport {
  mixtral_progress_callback callback;
  void* user_data;

  bool operator()(std::size_t done, std::size_t total) const {
    const mixtral_progress_event event = {sizeof(event), 0, done, total};
    return callback(&event, user_data) == 0;
  }

  template <class Progress>
  bool operator()(const Progress& progress) const {
    return (*this)(progress.done, progress.total);
  }
};

/// Calls C back with tokens; true = go on.
template <class Callback>
class TokenReport {
 public:
  TokenReport(Callback callback, void* user_data) : callback_(callback), user_data_(user_data) {}

  bool operator()(const TokenEvent& token) {
    const mixtral_token_event event = convert(token);
    return callback_(&event, user_data_) == 0;
  }

  bool operator()(std::size_t index, const TokenEvent& token) {
    const mixtral_token_event event = convert(token);
    return callback_(index, &event, user_data_) == 0;
  }

 private:
  mixtral_token_event convert(const TokenEvent& token) {
    top_.clear();
    for (const auto& [id, logprob] : token.top_logprobs) top_.push_back({id, logprob});
    mixtral_token_event event = {};
    event.struct_size = sizeof(event);
    event.token = token.id;
    event.text = token.text.data();
    event.text_size = token.text.size();
    event.logprob = token.logprob;
    event.top_logprobs = top_.data();
    event.n_top_logprobs = top_.size();
    if (token.finish) event.finish = number_from_1(*token.finish);
    return event;
  }

  Callback callback_;
  void* user_data_;
  std::vector<mixtral_token_logprob> top_;  // of the last event
};

inline mixtral::LoadOptions load_options(const mixtral_load_params* given) {
  const mixtral_load_params params = read_params(given, "mixtral_load_params");
  mixtral::LoadOptions options;
  options.compute.isa = optional_enum_of(params.isa, Isa::avx2_vnni, "mixtral_load_params.isa");
  options.compute.gemm = optional_enum_of(params.gemm, GemmKind::eigen, "mixtral_load_params.gemm");
  options.compute.precision =
      enum_of(params.precision, Precision::f32, "mixtral_load_params.precision");
  if (params.on_progress != nullptr) {
    options.on_progress = ProgressReport{params.on_progress, params.user_data};
  }
  return options;
}

inline mixtral::ContextOptions context_options(const mixtral_context_params* given) {
  const mixtral_context_params params = read_params(given, "mixtral_context_params");
  mixtral::ContextOptions options;
  options.n_ctx = params.n_ctx;
  options.cache_dtype =
      optional_enum_of(params.cache_type, DType::q8_0, "mixtral_context_params.cache_type");
  if (params.chunk_size != 0) options.chunk_size = params.chunk_size;
  options.n_threads = params.n_threads;
  return options;
}

inline mixtral::BatchOptions batch_options(const mixtral_batch_params* given) {
  const mixtral_batch_params params = read_params(given, "mixtral_batch_params");
  if ((params.flags & ~static_cast<std::uint32_t>(MIXTRAL_NO_PREFIX_CACHE)) != 0) {
    reject("mixtral_batch_params.flags: expected MIXTRAL_NO_PREFIX_CACHE or 0, found " +
           std::to_string(params.flags));
  }
  mixtral::BatchOptions options;
  options.context = context_options(params.context);
  if (params.max_sequences != 0) options.max_sequences = params.max_sequences;
  if (params.prefix_cache_bytes != 0) options.prefix_cache_bytes = params.prefix_cache_bytes;
  if (params.flags != 0) options.prefix_cache_bytes = 0;
  options.max_cache_bytes = params.max_cache_bytes;
  return options;
}

inline mixtral::SamplingOptions sampling_options(const mixtral_sampling_params& given) {
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

inline mixtral::GenerateOptions generate_options(const mixtral_generate_params* given) {
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
    options.on_prompt = ProgressReport{params.on_prompt, params.on_prompt_data};
  }
  if (params.on_prompt_token != nullptr) {
    options.on_prompt_token =
        [report = TokenReport(params.on_prompt_token, params.on_prompt_token_data)](
            const mixtral::TokenEvent& token) mutable {
          if (!report(token)) cancel("prompt");
        };
    options.prompt_logprobs_from = params.prompt_logprobs_from;
  }
  return options;
}

inline std::vector<mixtral::ChatMessage> chat_messages(const mixtral_message* messages,
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
inline void stream(mixtral::Generation generation, mixtral_token_callback on_token,
                   void* user_data) {
  const auto completion = generation.run(TokenReport(on_token, user_data));
  if (completion.finish == FinishReason::cancelled) cancel("generation");
}

}  // namespace mixtral::capi

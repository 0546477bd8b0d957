/* Every function of the C interface and its error paths, as a C99 program sees them.
   Usage: test_capi_c99 MODEL */
#include <mixtral.h>

#include "check.h"

/* A caller that was compiled against a later version: one more member at the end. */
#define WITH_TAIL(type) \
  struct {              \
    type known;         \
    uint64_t tail;      \
  }

static const char kPrompt[] = "Once upon a time";
enum { kPromptSize = sizeof(kPrompt) - 1, kMaxTokens = 64, kMaxText = 1024 };

/* What a callback saw, and when it is to stop. */
typedef struct recorder {
  size_t n_events;
  size_t stop_after; /* 0 = never */
  mixtral_token tokens[kMaxTokens];
  char text[kMaxText];
  size_t text_size;
  int32_t finish;
  double logprob;
  size_t n_top;
} recorder;

static int32_t record(const mixtral_token_event* event, void* user_data) {
  recorder* seen = user_data;
  CHECK(event->struct_size == sizeof(*event));
  CHECK(seen->finish == MIXTRAL_FINISH_NONE);
  CHECK(seen->n_events < kMaxTokens && seen->text_size + event->text_size < kMaxText);
  if (event->text_size > 0) memcpy(seen->text + seen->text_size, event->text, event->text_size);
  seen->text_size += event->text_size;
  seen->tokens[seen->n_events++] = event->token;
  seen->finish = event->finish;
  seen->logprob = event->logprob;
  seen->n_top = event->n_top_logprobs;
  if (event->n_top_logprobs > 1) {
    CHECK(event->top_logprobs[0].logprob >= event->top_logprobs[1].logprob);
  }
  return seen->n_events == seen->stop_after;
}

static int32_t count_progress(const mixtral_progress_event* event, void* user_data) {
  CHECK(event->struct_size == sizeof(*event));
  CHECK(event->done <= event->total);
  ++*(size_t*)user_data;
  return 0;
}

static int32_t stop_progress(const mixtral_progress_event* event, void* user_data) {
  (void)event;
  (void)user_data;
  return 1;
}

static size_t held(const mixtral_context* context) {
  size_t n_tokens = 0;
  CHECK_OK(mixtral_context_tokens(context, NULL, 0, &n_tokens));
  return n_tokens;
}

static mixtral_context* new_context(const mixtral_model* model) {
  mixtral_context* context = NULL;
  const mixtral_context_params params = {
      .struct_size = sizeof(params), .n_ctx = 128, .n_threads = 2};
  CHECK_OK(mixtral_context_create(model, &params, &context));
  CHECK(context != NULL);
  return context;
}

static void test_version(void) {
  CHECK(mixtral_version() == MIXTRAL_VERSION);
  CHECK(MIXTRAL_VERSION == 100);
  CHECK(strcmp(mixtral_last_error(), "") == 0);
}

static void test_load_errors(const char* path) {
  mixtral_model* model = (mixtral_model*)&model;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "model", mixtral_load(path, NULL, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "path", mixtral_load(NULL, NULL, &model));
  CHECK(model == NULL);
  CHECK_STATUS(MIXTRAL_IO, "/nonexistent", mixtral_load("/nonexistent", NULL, &model));
  CHECK(model == NULL);

  mixtral_load_params params = {0};
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "struct_size", mixtral_load(path, &params, &model));
  params.struct_size = sizeof(params) - 1;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "struct_size", mixtral_load(path, &params, &model));
  params.struct_size = sizeof(params);
  params.isa = 5;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "isa", mixtral_load(path, &params, &model));
  params.isa = 0;
  params.gemm = -1;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "gemm", mixtral_load(path, &params, &model));
  params.gemm = 0;
  params.precision = 2;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "precision", mixtral_load(path, &params, &model));
  params.precision = 0;
  params.on_progress = stop_progress;
  CHECK_STATUS(MIXTRAL_CANCELLED, "", mixtral_load(path, &params, &model));
  CHECK(model == NULL);

  WITH_TAIL(mixtral_load_params) later = {.known = {.struct_size = sizeof(later)}, .tail = 1};
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "doesn't know", mixtral_load(path, &later.known, &model));
}

static mixtral_model* test_load(const char* path) {
  mixtral_model* model = NULL;
  size_t n_calls = 0;
  WITH_TAIL(mixtral_load_params)
  later = {.known = {.struct_size = sizeof(later),
                     .isa = MIXTRAL_ISA_BASELINE,
                     .gemm = MIXTRAL_GEMM_NATIVE,
                     .precision = MIXTRAL_PRECISION_F32,
                     .on_progress = count_progress,
                     .user_data = &n_calls}};
  CHECK_OK(mixtral_load(path, &later.known, &model));
  CHECK(model != NULL);
  CHECK(n_calls > 0);
  return model;
}

static void test_info(const mixtral_model* model) {
  mixtral_info info = {.struct_size = sizeof(info)};
  CHECK_OK(mixtral_model_info(model, &info));
  CHECK(info.struct_size == sizeof(info));
  CHECK(info.isa == MIXTRAL_ISA_BASELINE);
  CHECK(info.gemm == MIXTRAL_GEMM_NATIVE);
  CHECK(info.precision == MIXTRAL_PRECISION_F32);
  CHECK(info.n_experts == 8 && info.top_k == 2);
  CHECK(info.hidden > 0 && info.ffn > 0 && info.n_layers > 0 && info.weight_bytes > 0);
  CHECK(info.has_tokenizer == 1 && info.chat_version == 1 && info.bos_token == 1);

  WITH_TAIL(mixtral_info) later = {.known = {.struct_size = sizeof(later)}, .tail = 77};
  CHECK_OK(mixtral_model_info(model, &later.known));
  CHECK(later.known.vocab == info.vocab && later.tail == 0);

  info.struct_size = 8;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "struct_size", mixtral_model_info(model, &info));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "info", mixtral_model_info(model, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "model", mixtral_model_info(NULL, &info));

  mixtral_token eos[4];
  size_t n_eos = 0;
  CHECK_OK(mixtral_eos_tokens(model, eos, 4, &n_eos));
  CHECK(n_eos == 1 && eos[0] == 2);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "model", mixtral_eos_tokens(NULL, eos, 4, &n_eos));
  CHECK(n_eos == 0);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "n_tokens", mixtral_eos_tokens(model, eos, 4, NULL));
}

static void test_text(const mixtral_model* model) {
  mixtral_token tokens[kMaxTokens], again[kMaxTokens];
  size_t n_tokens = 0, n_again = 0;
  CHECK_OK(mixtral_tokenize(model, kPrompt, kPromptSize, 0, NULL, 0, &n_tokens));
  CHECK(n_tokens > 1 && n_tokens < kMaxTokens);
  CHECK_OK(mixtral_tokenize(model, kPrompt, kPromptSize, 0, tokens, n_tokens, &n_again));
  CHECK(n_again == n_tokens && tokens[0] == 1);
  CHECK_OK(
      mixtral_tokenize(model, kPrompt, kPromptSize, MIXTRAL_NO_BOS, again, kMaxTokens, &n_again));
  CHECK(n_again == n_tokens - 1);
  CHECK(memcmp(again, tokens + 1, n_again * sizeof(*again)) == 0);

  again[0] = -5;
  CHECK_STATUS(MIXTRAL_CAPACITY, "room",
               mixtral_tokenize(model, kPrompt, kPromptSize, 0, again, n_tokens - 1, &n_again));
  CHECK(n_again == n_tokens && again[0] == -5);
  CHECK_OK(mixtral_tokenize(model, NULL, 0, 0, again, kMaxTokens, &n_again));
  CHECK(n_again == 1 && again[0] == 1);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "model",
               mixtral_tokenize(NULL, kPrompt, kPromptSize, 0, tokens, kMaxTokens, &n_again));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "text",
               mixtral_tokenize(model, NULL, 3, 0, tokens, kMaxTokens, &n_again));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "flags",
               mixtral_tokenize(model, kPrompt, kPromptSize, 2, tokens, kMaxTokens, &n_again));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "buffer",
               mixtral_tokenize(model, kPrompt, kPromptSize, 0, NULL, 9, &n_again));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "n_tokens",
               mixtral_tokenize(model, kPrompt, kPromptSize, 0, tokens, kMaxTokens, NULL));

  char text[kMaxText];
  size_t size = 0;
  CHECK_OK(mixtral_detokenize(model, tokens, n_tokens, text, sizeof(text), &size));
  CHECK(size == kPromptSize && memcmp(text, kPrompt, size) == 0);
  CHECK_OK(mixtral_detokenize(model, NULL, 0, NULL, 0, &size));
  CHECK(size == 0);
  text[0] = '#';
  CHECK_STATUS(MIXTRAL_CAPACITY, "room",
               mixtral_detokenize(model, tokens, n_tokens, text, kPromptSize - 1, &size));
  CHECK(size == kPromptSize && text[0] == '#');
  const mixtral_token bad[] = {-1, 1 << 30};
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "-1",
               mixtral_detokenize(model, bad, 1, text, sizeof(text), &size));
  CHECK(size == 0);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "1073741824",
               mixtral_detokenize(model, bad + 1, 1, text, sizeof(text), &size));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "tokens",
               mixtral_detokenize(model, NULL, 1, text, sizeof(text), &size));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "text_size",
               mixtral_detokenize(model, tokens, n_tokens, text, sizeof(text), NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "model",
               mixtral_detokenize(NULL, tokens, n_tokens, text, sizeof(text), &size));
}

static void test_format_chat(const mixtral_model* model) {
  mixtral_message messages[] = {{MIXTRAL_ROLE_SYSTEM, "Be kind.", 8}, {MIXTRAL_ROLE_USER, "Hi", 2}};
  static const char kFormatted[] = "[INST] Be kind.\n\nHi [/INST]";
  mixtral_token tokens[kMaxTokens], expected[kMaxTokens];
  size_t n_tokens = 0, n_expected = 0;
  CHECK_OK(mixtral_format_chat(model, messages, 2, tokens, kMaxTokens, &n_tokens));
  CHECK_OK(mixtral_tokenize(model, kFormatted, sizeof(kFormatted) - 1, 0, expected, kMaxTokens,
                            &n_expected));
  CHECK(n_tokens == n_expected);
  CHECK(memcmp(tokens, expected, n_tokens * sizeof(*tokens)) == 0);

  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "",
               mixtral_format_chat(model, NULL, 0, tokens, kMaxTokens, &n_tokens));
  CHECK(n_tokens == 0);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "messages",
               mixtral_format_chat(model, NULL, 1, tokens, kMaxTokens, &n_tokens));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "model",
               mixtral_format_chat(NULL, messages, 2, tokens, kMaxTokens, &n_tokens));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "n_tokens",
               mixtral_format_chat(model, messages, 2, tokens, kMaxTokens, NULL));
  CHECK_STATUS(MIXTRAL_CAPACITY, "room",
               mixtral_format_chat(model, messages, 2, tokens, 2, &n_tokens));
  CHECK(n_tokens == n_expected);
  messages[1].content = NULL;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "content",
               mixtral_format_chat(model, messages, 2, tokens, kMaxTokens, &n_tokens));
  messages[0].role = 3;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "role",
               mixtral_format_chat(model, messages, 1, tokens, kMaxTokens, &n_tokens));
}

static void test_context_errors(const mixtral_model* model) {
  mixtral_context* context = (mixtral_context*)&context;
  mixtral_context_params params = {.struct_size = sizeof(params), .n_ctx = 1 << 30};
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "n_ctx", mixtral_context_create(model, &params, &context));
  CHECK(context == NULL);
  params.n_ctx = 16;
  params.cache_type = 5;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "cache_type",
               mixtral_context_create(model, &params, &context));
  params.cache_type = MIXTRAL_TYPE_Q8_0;
  CHECK_OK(mixtral_context_create(model, &params, &context));
  mixtral_context_free(context);
  params.struct_size = 3;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "struct_size",
               mixtral_context_create(model, &params, &context));
  WITH_TAIL(mixtral_context_params) later = {.known = {.struct_size = sizeof(later)}, .tail = 1};
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "doesn't know",
               mixtral_context_create(model, &later.known, &context));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "model", mixtral_context_create(NULL, NULL, &context));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "context", mixtral_context_create(model, NULL, NULL));

  size_t n_tokens = 1;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "context",
               mixtral_context_tokens(NULL, NULL, 0, &n_tokens));
  CHECK(n_tokens == 0);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "context", mixtral_context_rewind(NULL, 0));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "context", mixtral_context_clone(NULL, &context));
}

/* Compares the rows of mixtral_eval_all with those of single steps. */
typedef struct row_check {
  const float* expected; /* [n_rows, vocab] */
  size_t n_rows;
  int32_t result;
} row_check;

static int32_t check_rows(const mixtral_logits_event* event, void* user_data) {
  row_check* check = user_data;
  CHECK(event->struct_size == sizeof(*event));
  CHECK(event->first == check->n_rows);
  CHECK(memcmp(event->logits, check->expected + event->first * event->vocab,
               event->n_rows * event->vocab * sizeof(float)) == 0);
  check->n_rows += event->n_rows;
  return check->result;
}

static void test_eval(const mixtral_model* model) {
  const mixtral_token tokens[] = {1, 300, 301, 302};
  mixtral_info info = {.struct_size = sizeof(info)};
  CHECK_OK(mixtral_model_info(model, &info));
  float* rows = malloc(4 * info.vocab * sizeof(float));
  CHECK(rows != NULL);
  mixtral_context* context = new_context(model);
  const float* logits = NULL;
  for (size_t i = 0; i < 4; ++i) {
    CHECK_OK(mixtral_eval(context, tokens + i, 1, &logits));
    memcpy(rows + i * info.vocab, logits, info.vocab * sizeof(float));
  }
  CHECK(held(context) == 4);

  mixtral_context* clone = NULL;
  CHECK_OK(mixtral_context_rewind(context, 2));
  CHECK_OK(mixtral_context_clone(context, &clone));
  CHECK_OK(mixtral_eval(clone, tokens + 2, 2, &logits));
  CHECK(memcmp(logits, rows + 3 * info.vocab, info.vocab * sizeof(float)) == 0);
  CHECK(held(clone) == 4 && held(context) == 2);
  mixtral_context_free(clone);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "clone", mixtral_context_clone(context, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "rewind", mixtral_context_rewind(context, 3));

  CHECK_OK(mixtral_context_rewind(context, 0));
  row_check check = {rows, 0, 0};
  CHECK_OK(mixtral_eval_all(context, tokens, 4, check_rows, &check));
  CHECK(check.n_rows == 4);
  CHECK_OK(mixtral_context_rewind(context, 0));
  check.n_rows = 0;
  check.result = 1;
  CHECK_STATUS(MIXTRAL_CANCELLED, "callback",
               mixtral_eval_all(context, tokens, 4, check_rows, &check));
  CHECK(held(context) == 0);

  const mixtral_token bad = -1;
  mixtral_token many[129] = {0};
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "-1", mixtral_eval(context, &bad, 1, &logits));
  CHECK(logits == NULL);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "tokens", mixtral_eval(context, NULL, 1, &logits));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "none", mixtral_eval(context, tokens, 0, &logits));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "context", mixtral_eval(NULL, tokens, 1, &logits));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "logits", mixtral_eval(context, tokens, 1, NULL));
  CHECK_STATUS(MIXTRAL_CAPACITY, "128", mixtral_eval(context, many, 129, &logits));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "on_logits",
               mixtral_eval_all(context, tokens, 1, NULL, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "context",
               mixtral_eval_all(NULL, tokens, 1, check_rows, &check));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "tokens",
               mixtral_eval_all(context, NULL, 1, check_rows, &check));
  CHECK(held(context) == 0);
  mixtral_context_free(context);
  free(rows);
}

static recorder generate(mixtral_context* context, const mixtral_generate_params* params) {
  recorder seen = {0};
  CHECK_OK(mixtral_context_rewind(context, 0));
  CHECK_OK(mixtral_generate(context, kPrompt, kPromptSize, params, record, &seen));
  return seen;
}

static void test_generate(const mixtral_model* model) {
  mixtral_context* context = new_context(model);
  const mixtral_sampling_params greedy = {.struct_size = sizeof(greedy)};
  mixtral_generate_params params = {
      .struct_size = sizeof(params), .max_new_tokens = 12, .sampling = &greedy};
  const recorder whole = generate(context, &params);
  CHECK(whole.n_events == 12 && whole.finish == MIXTRAL_FINISH_LENGTH);
  CHECK(whole.text_size > 0 && whole.n_top == 0 && whole.logprob != whole.logprob);

  /* The text is that of the tokens. */
  mixtral_token all[2 * kMaxTokens];
  char text[kMaxText];
  size_t n_all = 0, text_size = 0;
  CHECK_OK(mixtral_context_tokens(context, all, 2 * kMaxTokens, &n_all));
  CHECK_OK(mixtral_detokenize(model, all, n_all, text, sizeof(text), &text_size));
  CHECK(text_size == kPromptSize + whole.text_size);
  CHECK(memcmp(text + kPromptSize, whole.text, whole.text_size) == 0);

  /* The same from tokens, in a context that holds what it is told to. */
  mixtral_token tokens[kMaxTokens];
  size_t n_tokens = 0;
  CHECK_OK(mixtral_tokenize(model, kPrompt, kPromptSize, 0, tokens, kMaxTokens, &n_tokens));
  CHECK(held(context) == n_tokens + 12);
  recorder seen = {0};
  CHECK_OK(mixtral_context_rewind(context, 0));
  CHECK_OK(mixtral_generate_tokens(context, tokens, n_tokens, &params, record, &seen));
  CHECK(memcmp(seen.tokens, whole.tokens, sizeof(seen.tokens)) == 0);

  /* Stopped by the callback, and gone on from there. */
  recorder first = {.stop_after = 5};
  CHECK_OK(mixtral_context_rewind(context, 0));
  CHECK_STATUS(MIXTRAL_CANCELLED, "callback",
               mixtral_generate(context, kPrompt, kPromptSize, &params, record, &first));
  CHECK(first.n_events == 5 && held(context) == n_tokens + 5);
  recorder rest = {0};
  params.max_new_tokens = 7;
  CHECK_OK(mixtral_generate(context, "", 0, &params, record, &rest));
  CHECK(memcmp(rest.tokens, whole.tokens + 5, 7 * sizeof(mixtral_token)) == 0);
  CHECK(first.text_size + rest.text_size == whole.text_size);
  params.max_new_tokens = 12;

  /* A stop string. */
  const mixtral_text stop = {whole.text + whole.text_size / 2, 3};
  params.stop = &stop;
  params.n_stop = 1;
  seen = generate(context, &params);
  CHECK(seen.finish == MIXTRAL_FINISH_STOP && seen.text_size <= whole.text_size / 2);
  CHECK(memcmp(seen.text, whole.text, seen.text_size) == 0);
  params.n_stop = 0;

  /* Log-probabilities, bias, and the EOS token. */
  const mixtral_logit_bias bias = {2, 1000.0f};
  mixtral_sampling_params biased = greedy;
  biased.logit_bias = &bias;
  biased.n_logit_bias = 1;
  params.sampling = &biased;
  params.top_logprobs = 3;
  seen = generate(context, &params);
  CHECK(seen.n_events == 1 && seen.finish == MIXTRAL_FINISH_EOS && seen.text_size == 0);
  CHECK(seen.n_top == 3 && seen.logprob <= 0);
  params.top_logprobs = 0;

  /* Seeds. */
  mixtral_sampling_params random = {.struct_size = sizeof(random), .temperature = 1.5, .seed = 1};
  params.sampling = &random;
  const recorder one = generate(context, &params), again = generate(context, &params);
  random.seed = 2;
  const recorder two = generate(context, &params);
  CHECK(memcmp(one.tokens, again.tokens, sizeof(one.tokens)) == 0);
  CHECK(memcmp(one.tokens, two.tokens, sizeof(one.tokens)) != 0);
  params.sampling = NULL;

  /* The prompt's progress. */
  size_t n_calls = 0;
  params.on_prompt = count_progress;
  params.on_prompt_data = &n_calls;
  generate(context, &params);
  CHECK(n_calls == 1);
  params.on_prompt = stop_progress;
  CHECK_OK(mixtral_context_rewind(context, 0));
  seen.n_events = 0;
  CHECK_STATUS(MIXTRAL_CANCELLED, "callback",
               mixtral_generate(context, kPrompt, kPromptSize, &params, record, &seen));
  CHECK(seen.n_events == 0 && held(context) == n_tokens);
  mixtral_context_free(context);
}

static void test_generate_errors(const mixtral_model* model) {
  mixtral_context* context = new_context(model);
  recorder seen = {0};
  mixtral_generate_params params = {.struct_size = sizeof(params)};
#define CHECK_GENERATE(status, words) \
  CHECK_STATUS(status, words,         \
               mixtral_generate(context, kPrompt, kPromptSize, &params, record, &seen))
  params.struct_size = 4;
  CHECK_GENERATE(MIXTRAL_INVALID_ARGUMENT, "struct_size");
  params.struct_size = sizeof(params);
  params.overflow = 2;
  CHECK_GENERATE(MIXTRAL_INVALID_ARGUMENT, "overflow");
  params.overflow = 0;
  params.max_new_tokens = 128;
  CHECK_GENERATE(MIXTRAL_CAPACITY, "128");
  params.max_new_tokens = UINT64_MAX;
  CHECK_GENERATE(MIXTRAL_CAPACITY, "");
  params.max_new_tokens = 3;
  params.n_stop = 1;
  CHECK_GENERATE(MIXTRAL_INVALID_ARGUMENT, "stop");
  mixtral_text stop = {NULL, 2};
  params.stop = &stop;
  CHECK_GENERATE(MIXTRAL_INVALID_ARGUMENT, "stop.data");
  stop.size = 0;
  CHECK_GENERATE(MIXTRAL_INVALID_ARGUMENT, "empty");
  params.n_stop = 0;
  mixtral_sampling_params sampling = {0};
  params.sampling = &sampling;
  CHECK_GENERATE(MIXTRAL_INVALID_ARGUMENT, "struct_size");
  sampling.struct_size = sizeof(sampling);
  sampling.n_logit_bias = 1;
  CHECK_GENERATE(MIXTRAL_INVALID_ARGUMENT, "logit_bias");
  sampling.n_logit_bias = 0;
  sampling.reserved = 1;
  CHECK_GENERATE(MIXTRAL_INVALID_ARGUMENT, "reserved");
  sampling.reserved = 0;
  sampling.temperature = -1;
  CHECK_GENERATE(MIXTRAL_INVALID_ARGUMENT, "temperature");
  sampling.temperature = 0;
  WITH_TAIL(mixtral_sampling_params)
  later = {.known = {.struct_size = sizeof(later)}, .tail = (uint64_t)1 << 63};
  params.sampling = &later.known;
  CHECK_GENERATE(MIXTRAL_INVALID_ARGUMENT, "doesn't know");
  params.sampling = NULL;
#undef CHECK_GENERATE
  const mixtral_token bad = 1 << 30;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "context",
               mixtral_generate(NULL, kPrompt, kPromptSize, NULL, record, &seen));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "prompt",
               mixtral_generate(context, NULL, 1, NULL, record, &seen));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "on_token",
               mixtral_generate(context, kPrompt, kPromptSize, NULL, NULL, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "none",
               mixtral_generate_tokens(context, &bad, 0, NULL, record, &seen));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "1073741824",
               mixtral_generate_tokens(context, &bad, 1, NULL, record, &seen));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "tokens",
               mixtral_generate_tokens(context, NULL, 1, NULL, record, &seen));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "context",
               mixtral_generate_tokens(NULL, &bad, 1, NULL, record, &seen));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "on_token",
               mixtral_generate_tokens(context, &bad, 1, NULL, NULL, NULL));
  CHECK(held(context) == 0 && seen.n_events == 0);
  mixtral_context_free(context);
}

static void test_chat(const mixtral_model* model) {
  mixtral_context* context = new_context(model);
  const mixtral_message message = {MIXTRAL_ROLE_USER, "Hello!", 6};
  mixtral_generate_params params = {.struct_size = sizeof(params), .max_new_tokens = 10};
  size_t n_prompt = 0;
  CHECK_OK(mixtral_format_chat(model, &message, 1, NULL, 0, &n_prompt));
  recorder seen = {0}, again = {0};
  CHECK_OK(mixtral_chat(context, &message, 1, &params, record, &seen));
  CHECK(held(context) == n_prompt + seen.n_events);
  CHECK_OK(mixtral_chat(context, &message, 1, &params, record, &again));
  CHECK(memcmp(seen.tokens, again.tokens, sizeof(seen.tokens)) == 0);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "",
               mixtral_chat(context, NULL, 0, &params, record, &seen));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "context",
               mixtral_chat(NULL, &message, 1, &params, record, &seen));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "on_token",
               mixtral_chat(context, &message, 1, &params, NULL, NULL));
  mixtral_context_free(context);
}

static void test_default_sampling(const mixtral_model* model) {
  mixtral_sampling_params sampling = {.struct_size = sizeof(sampling), .min_p = 0.5};
  CHECK_OK(mixtral_default_sampling(model, &sampling));
  CHECK(sampling.repetition_penalty == 1 && sampling.min_p == 0 && sampling.temperature >= 0);
  sampling.struct_size = 0;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "struct_size", mixtral_default_sampling(model, &sampling));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "sampling", mixtral_default_sampling(model, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "model", mixtral_default_sampling(NULL, &sampling));
}

static void test_lifetimes(mixtral_model* model) {
  mixtral_context* context = new_context(model);
  mixtral_model_free(model);
  recorder seen = {0};
  mixtral_generate_params params = {.struct_size = sizeof(params), .max_new_tokens = 4};
  CHECK_OK(mixtral_generate(context, kPrompt, kPromptSize, &params, record, &seen));
  CHECK(seen.n_events > 0);
  mixtral_context_free(context);
  mixtral_context_free(NULL);
  mixtral_model_free(NULL);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  test_version();
  test_load_errors(argv[1]);
  mixtral_model* model = test_load(argv[1]);
  test_info(model);
  test_text(model);
  test_format_chat(model);
  test_context_errors(model);
  test_eval(model);
  test_generate(model);
  test_generate_errors(model);
  test_chat(model);
  test_default_sampling(model);
  test_lifetimes(model);
  puts("all passed");
  return 0;
}

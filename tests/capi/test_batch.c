/* Batches and scores of the C interface, as a C99 program sees them.
   Usage: test_capi_batch MODEL */
#include <mixtral.h>

#include "check.h"

enum { kMaxTokens = 32, kMaxRequests = 4 };

/* What the callbacks of one batch saw. */
typedef struct recorder {
  size_t n_tokens[kMaxRequests];
  mixtral_token tokens[kMaxRequests][kMaxTokens];
  int32_t finish[kMaxRequests];
  uint64_t stop_request; /* ended at its second token */
  mixtral_batch* cancels; /* where the stop_request is cancelled instead, if not NULL */
} recorder;

static int32_t record(uint64_t index, const mixtral_token_event* event, void* user_data) {
  recorder* seen = user_data;
  CHECK(event->struct_size == sizeof(*event));
  CHECK(index < kMaxRequests && seen->n_tokens[index] < kMaxTokens);
  seen->tokens[index][seen->n_tokens[index]++] = event->token;
  seen->finish[index] = event->finish;
  if (index != seen->stop_request || seen->n_tokens[index] < 2) return 0;
  if (seen->cancels == NULL) return 1;
  CHECK_OK(mixtral_batch_cancel(seen->cancels, index));
  return 0;
}

static void run(mixtral_batch* batch, recorder* seen) {
  uint64_t n_left = 1;
  while (n_left > 0) CHECK_OK(mixtral_batch_step(batch, record, seen, &n_left));
}

static mixtral_batch* new_batch(const mixtral_model* model, uint32_t flags) {
  mixtral_batch* batch = NULL;
  const mixtral_context_params context = {
      .struct_size = sizeof(context), .n_ctx = 128, .n_threads = 2};
  const mixtral_batch_params params = {
      .struct_size = sizeof(params), .flags = flags, .context = &context, .max_sequences = 3};
  CHECK_OK(mixtral_batch_create(model, &params, &batch));
  CHECK(batch != NULL);
  return batch;
}

static size_t tokenize(const mixtral_model* model, const char* text, mixtral_token* tokens) {
  size_t n_tokens = 0;
  CHECK_OK(mixtral_tokenize(model, text, strlen(text), 0, tokens, kMaxTokens, &n_tokens));
  return n_tokens;
}

static int32_t record_alone(const mixtral_token_event* event, void* user_data) {
  return record(0, event, user_data);
}

/* The tokens after `prompt` in a context of its own. */
static recorder alone(const mixtral_model* model, const char* prompt,
                      const mixtral_generate_params* params) {
  recorder seen = {.stop_request = kMaxRequests};
  mixtral_context* context = NULL;
  CHECK_OK(mixtral_context_create(model, NULL, &context));
  CHECK_OK(mixtral_generate(context, prompt, strlen(prompt), params, record_alone, &seen));
  mixtral_context_free(context);
  return seen;
}

static void test_batch(const mixtral_model* model) {
  static const char* const kPrompts[] = {"Once upon a time", "The little dog was"};
  const mixtral_generate_params params = {.struct_size = sizeof(params), .max_new_tokens = 10};
  mixtral_batch* batch = new_batch(model, 0);
  uint64_t index = 9;
  for (uint64_t i = 0; i < 2; ++i) {
    CHECK_OK(mixtral_batch_add(batch, kPrompts[i], strlen(kPrompts[i]), &params, &index));
    CHECK(index == i);
  }
  mixtral_token tokens[kMaxTokens];
  const size_t n_tokens = tokenize(model, kPrompts[0], tokens);
  CHECK_OK(mixtral_batch_add_tokens(batch, tokens, n_tokens, &params, &index));
  CHECK(index == 2);
  const mixtral_message message = {MIXTRAL_ROLE_USER, "Hi", 2};
  CHECK_OK(mixtral_batch_add_chat(batch, &message, 1, &params, &index));
  CHECK(index == 3);

  mixtral_stats stats = {.struct_size = sizeof(stats)};
  CHECK_OK(mixtral_batch_stats(batch, &stats));
  CHECK(stats.n_waiting == 4 && stats.n_running == 0 && stats.n_prompt_computed == 0);
  recorder seen = {.stop_request = 3};
  run(batch, &seen);
  for (size_t i = 0; i < 3; ++i) {
    const recorder expected = alone(model, kPrompts[i % 2], &params);
    CHECK(seen.n_tokens[i] == expected.n_tokens[0] && seen.finish[i] == expected.finish[0]);
    CHECK(memcmp(seen.tokens[i], expected.tokens[0], sizeof(seen.tokens[i])) == 0);
  }
  CHECK(seen.n_tokens[3] == 2 && seen.finish[3] == MIXTRAL_FINISH_NONE);
  CHECK_OK(mixtral_batch_stats(batch, &stats));
  CHECK(stats.n_waiting == 0 && stats.n_running == 0 && stats.n_positions == 0);
  CHECK(stats.n_prompt_computed > n_tokens && stats.prefix_bytes > 0);
  mixtral_batch_free(batch);
}

static void test_cancel(const mixtral_model* model) {
  const mixtral_generate_params params = {.struct_size = sizeof(params), .max_new_tokens = 10};
  mixtral_batch* batch = new_batch(model, MIXTRAL_NO_PREFIX_CACHE);
  uint64_t index = 0, n_left = 0;
  for (int i = 0; i < 3; ++i) CHECK_OK(mixtral_batch_add(batch, "Once", 4, &params, &index));
  CHECK_OK(mixtral_batch_cancel(batch, 0));
  CHECK_OK(mixtral_batch_cancel(batch, 77));
  recorder seen = {.stop_request = 1, .cancels = batch};
  CHECK_OK(mixtral_batch_step(batch, record, &seen, &n_left));
  CHECK(n_left == 2);
  run(batch, &seen);
  CHECK(seen.n_tokens[0] == 0 && seen.n_tokens[1] == 2 && seen.n_tokens[2] == 10);
  CHECK(seen.finish[2] == MIXTRAL_FINISH_LENGTH);
  mixtral_stats stats = {.struct_size = sizeof(stats)};
  CHECK_OK(mixtral_batch_stats(batch, &stats));
  CHECK(stats.prefix_bytes == 0 && stats.n_prompt_reused == 0);
  mixtral_batch_free(batch);
}

/* The tokens of a prompt that a callback saw. */
typedef struct prompt_recorder {
  size_t n_events;
  size_t stop_after; /* 0 = never */
  double logprob;    /* of all */
  int32_t finish;
} prompt_recorder;

static int32_t record_prompt(const mixtral_token_event* event, void* user_data) {
  prompt_recorder* seen = user_data;
  CHECK(event->struct_size == sizeof(*event) && event->text_size == 0);
  CHECK(event->logprob <= 0);
  seen->logprob += event->logprob;
  seen->finish = event->finish;
  return ++seen->n_events == seen->stop_after;
}

static void test_prompt_tokens(const mixtral_model* model) {
  mixtral_token tokens[kMaxTokens];
  const size_t n_tokens = tokenize(model, "Once upon a time there was", tokens);
  prompt_recorder seen = {0};
  mixtral_generate_params params = {.struct_size = sizeof(params),
                                    .on_prompt_token = record_prompt,
                                    .on_prompt_token_data = &seen};
  mixtral_context* context = NULL;
  CHECK_OK(mixtral_context_create(model, NULL, &context));
  recorder none = {.stop_request = kMaxRequests};
  CHECK_OK(mixtral_generate_tokens(context, tokens, n_tokens, &params, record_alone, &none));
  CHECK(none.n_tokens[0] == 0);
  CHECK(seen.n_events == n_tokens - 1 && seen.finish == MIXTRAL_FINISH_LENGTH);

  prompt_recorder stopped = {.stop_after = 2};
  params.on_prompt_token_data = &stopped;
  CHECK_OK(mixtral_context_rewind(context, 0));
  CHECK_STATUS(MIXTRAL_CANCELLED, "callback",
               mixtral_generate_tokens(context, tokens, n_tokens, &params, record_alone, &none));
  CHECK(stopped.n_events == 2);
  mixtral_context_free(context);

  mixtral_batch* batch = new_batch(model, 0);
  prompt_recorder again = {0};
  uint64_t index = 0;
  params.on_prompt_token_data = &again;
  CHECK_OK(mixtral_batch_add_tokens(batch, tokens, n_tokens, &params, &index));
  stopped.n_events = 0;
  params.on_prompt_token_data = &stopped;
  params.prompt_logprobs_from = 2;
  CHECK_OK(mixtral_batch_add_tokens(batch, tokens, n_tokens, &params, &index));
  run(batch, &none);
  CHECK(again.n_events == n_tokens - 1 && again.logprob == seen.logprob);
  CHECK(stopped.n_events == 2);
  mixtral_batch_free(batch);

  /* A caller that was compiled before these members came. */
  params.struct_size = (uint32_t)offsetof(mixtral_generate_params, on_prompt_token);
  params.max_new_tokens = 3;
  again.n_events = 0;
  params.on_prompt_token_data = &again;
  CHECK_OK(mixtral_context_create(model, NULL, &context));
  CHECK_OK(mixtral_generate_tokens(context, tokens, n_tokens, &params, record_alone, &none));
  CHECK(none.n_tokens[0] == 3 && again.n_events == 0);
  mixtral_context_free(context);
}

static int32_t count_progress(const mixtral_progress_event* event, void* user_data) {
  CHECK(event->done <= event->total);
  ++*(size_t*)user_data;
  return 0;
}

static int32_t stop_progress(const mixtral_progress_event* event, void* user_data) {
  (void)event;
  (void)user_data;
  return 1;
}

static void test_score(const mixtral_model* model) {
  mixtral_token tokens[kMaxTokens];
  double each[kMaxTokens] = {0};
  const size_t n_tokens = tokenize(model, "Once upon a time there was", tokens);
  const mixtral_score_request requests[] = {
      {.context = tokens, .n_context = 1, .continuation = tokens + 1,
       .n_continuation = n_tokens - 1, .token_logprobs = each},
      {.context = tokens, .n_context = 3, .continuation = tokens + 3,
       .n_continuation = n_tokens - 3},
      {.context = tokens, .n_context = 3},
  };
  mixtral_batch* batch = new_batch(model, 0);
  mixtral_score scores[3];
  size_t n_calls = 0;
  CHECK_OK(mixtral_batch_score(batch, requests, 3, scores, count_progress, &n_calls));
  CHECK(n_calls > 1);
  double all = 0, rest = 0;
  for (size_t i = 0; i < n_tokens - 1; ++i) {
    CHECK(each[i] < 0);
    all += each[i];
    if (i >= 2) rest += each[i];
  }
  CHECK(scores[0].logprob == all && scores[1].logprob == rest && scores[0].is_greedy == 0);
  CHECK(scores[2].logprob == 0 && scores[2].is_greedy == 1);

  CHECK_STATUS(MIXTRAL_CANCELLED, "callback",
               mixtral_batch_score(batch, requests, 3, scores, stop_progress, NULL));
  CHECK_OK(mixtral_batch_score(batch, NULL, 0, NULL, NULL, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "requests",
               mixtral_batch_score(batch, NULL, 1, scores, NULL, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "scores",
               mixtral_batch_score(batch, requests, 3, NULL, NULL, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "batch",
               mixtral_batch_score(NULL, requests, 3, scores, NULL, NULL));
  const mixtral_score_request bad[] = {{.continuation = tokens, .n_continuation = 2},
                                       {.n_context = 2}};
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "request 0",
               mixtral_batch_score(batch, bad, 1, scores, NULL, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "context",
               mixtral_batch_score(batch, bad + 1, 1, scores, NULL, NULL));
  mixtral_batch_free(batch);
}

static void test_errors(const mixtral_model* model) {
  mixtral_batch* batch = (mixtral_batch*)&batch;
  mixtral_batch_params params = {.struct_size = sizeof(params)};
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "model", mixtral_batch_create(NULL, NULL, &batch));
  CHECK(batch == NULL);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "batch", mixtral_batch_create(model, NULL, NULL));
  params.flags = 2;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "flags", mixtral_batch_create(model, &params, &batch));
  params.flags = 0;
  params.struct_size = 8;
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "struct_size",
               mixtral_batch_create(model, &params, &batch));
  params.struct_size = sizeof(params);
  params.max_cache_bytes = 1;
  CHECK_OK(mixtral_batch_create(model, &params, &batch));

  uint64_t index = 5, n_left = 5;
  CHECK_STATUS(MIXTRAL_CAPACITY, "max_cache_bytes",
               mixtral_batch_add(batch, "Once", 4, NULL, &index));
  CHECK(index == 0);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "index", mixtral_batch_add(batch, "Once", 4, NULL, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "batch", mixtral_batch_add(NULL, "Once", 4, NULL, &index));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "prompt", mixtral_batch_add(batch, NULL, 4, NULL, &index));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "prompt",
               mixtral_batch_add_tokens(batch, NULL, 0, NULL, &index));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "", mixtral_batch_add_chat(batch, NULL, 0, NULL, &index));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "on_token",
               mixtral_batch_step(batch, NULL, NULL, &n_left));
  CHECK(n_left == 0);
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "n_left", mixtral_batch_step(batch, record, NULL, NULL));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "batch", mixtral_batch_step(NULL, record, NULL, &n_left));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "batch", mixtral_batch_cancel(NULL, 0));
  mixtral_stats stats = {.struct_size = 4};
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "struct_size", mixtral_batch_stats(batch, &stats));
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "stats", mixtral_batch_stats(batch, NULL));
  mixtral_batch_free(batch);
  mixtral_batch_free(NULL);
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  mixtral_model* model = NULL;
  CHECK_OK(mixtral_load(argv[1], NULL, &model));
  test_batch(model);
  test_cancel(model);
  test_prompt_tokens(model);
  test_score(model);
  test_errors(model);
  mixtral_model_free(model);
  return 0;
}

/* Runs Mixtral language models on CPUs: the C interface of the library mixtral (C99 and C++).

   A complete program, without its error messages:

     #include <mixtral.h>
     #include <stdio.h>
     #include <string.h>

     static int32_t print(const mixtral_token_event* event, void* user_data) {
       (void)user_data;
       fwrite(event->text, 1, event->text_size, stdout);
       return fflush(stdout);
     }

     int main(void) {
       const char* prompt = "Once upon a time";
       mixtral_model* model = NULL;
       mixtral_context* context = NULL;
       mixtral_status status = mixtral_load("path/to/model", NULL, &model);
       if (status == MIXTRAL_OK) status = mixtral_context_create(model, NULL, &context);
       if (status == MIXTRAL_OK)
         status = mixtral_generate(context, prompt, strlen(prompt), NULL, print, NULL);
       if (status != MIXTRAL_OK) fprintf(stderr, "%s\n", mixtral_last_error());
       mixtral_context_free(context);
       mixtral_model_free(model);
       return status != MIXTRAL_OK;
     }

   Threads. Any number of threads may use one model at the same time. A context or batch serves one
   thread at a time; those of one model may run in different threads. Nothing here blocks but the work
   itself.

   Ownership. A model lives until it and all that was made from it have been freed, in any order.
   Freeing NULL does nothing.

   Failure. Every function that can fail returns a status, sets its out parameters to NULL or 0, and
   leaves a message for mixtral_last_error. Nothing here prints, aborts or exits. A context stays
   usable after any failure.

   Text is UTF-8 with an explicit size in bytes and no terminating zero. Bytes that are no valid
   UTF-8 read as U+FFFD. Text never becomes control tokens: "<s>" or "[INST]" in it are plain
   characters.

   Buffers. Functions that fill a buffer take its capacity and give the size that is needed. Called
   with NULL and 0 they give the size alone. A buffer too small gives MIXTRAL_CAPACITY and the size
   needed, and is left as it was.

   Structs. The first member of every params struct is its size, sizeof at the caller: set it, zero
   the rest (= {0} and then struct_size, or designated initialisers), and fill in what differs. NULL
   for a params struct means all defaults, and so does zero for a member. Later versions append
   members only; bytes that this version doesn't know must be zero.

   Callbacks get an event that is valid during the call, and their user_data. They return 0 to go
   on; anything else stops the work, and the function returns MIXTRAL_CANCELLED. A callback must not
   use the context that calls it. */
#ifndef MIXTRAL_H
#define MIXTRAL_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define MIXTRAL_API __attribute__((visibility("default")))
#define MIXTRAL_NODISCARD __attribute__((warn_unused_result))
#else
#define MIXTRAL_API
#define MIXTRAL_NODISCARD
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- Version -------------------------------------------------------------------------------- */

#define MIXTRAL_VERSION_MAJOR 0
#define MIXTRAL_VERSION_MINOR 1
#define MIXTRAL_VERSION_PATCH 0
/* Of this header: 10000 * major + 100 * minor + patch. */
#define MIXTRAL_VERSION \
  (10000 * MIXTRAL_VERSION_MAJOR + 100 * MIXTRAL_VERSION_MINOR + MIXTRAL_VERSION_PATCH)

/* Of the library that runs, in the same form. */
MIXTRAL_API int32_t mixtral_version(void);

/* --- Status --------------------------------------------------------------------------------- */

typedef int32_t mixtral_status;
enum {
  MIXTRAL_OK = 0,
  MIXTRAL_INVALID_ARGUMENT = 1, /* something that can never work was passed */
  MIXTRAL_IO = 2,               /* a file is missing, unreadable, or changed while in use */
  MIXTRAL_FORMAT = 3,           /* a file's content is malformed or inconsistent */
  MIXTRAL_UNSUPPORTED = 4,      /* well-formed, but this library can't honour it */
  MIXTRAL_CAPACITY = 5,         /* a context or buffer is too small for the request */
  MIXTRAL_OUT_OF_MEMORY = 6,
  MIXTRAL_CANCELLED = 7, /* a callback asked to stop */
  MIXTRAL_INTERNAL = 8   /* a defect of the library, or an exception from a callback */
};

/* Return type of every function that can fail. Ignoring it is a warning. */
#define MIXTRAL_STATUS MIXTRAL_API MIXTRAL_NODISCARD mixtral_status

/* What the latest failure in this thread was: the thing, what was expected and what was found.
   "" before the first. Never NULL; valid until this thread's next call that fails. */
MIXTRAL_API const char* mixtral_last_error(void);

/* --- Callbacks ------------------------------------------------------------------------------ */

typedef struct mixtral_progress_event {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t done;
  uint64_t total;
} mixtral_progress_event;

typedef int32_t (*mixtral_progress_callback)(const mixtral_progress_event* event, void* user_data);

/* --- Models --------------------------------------------------------------------------------- */

/* A loaded model: immutable, shareable between threads. */
typedef struct mixtral_model mixtral_model;

/* Index of a vocabulary entry, 0 .. vocab - 1. */
typedef int32_t mixtral_token;

/* Instruction sets of the kernels. */
enum {
  MIXTRAL_ISA_BASELINE = 1,
  MIXTRAL_ISA_AVX2 = 2,
  MIXTRAL_ISA_AVX512 = 3,
  MIXTRAL_ISA_AVX2_VNNI = 4
};

/* Libraries that multiply matrices when prompts are processed. */
enum {
  MIXTRAL_GEMM_NATIVE = 1,
  MIXTRAL_GEMM_ONEDNN = 2,
  MIXTRAL_GEMM_OPENBLAS = 3,
  MIXTRAL_GEMM_EIGEN = 4
};

/* Arithmetic of the matrix products. AUTO: activations may be rounded to bf16 where weights are
   bf16 (sums in f32). F32: activations and sums in f32 for every type of weights. */
enum { MIXTRAL_PRECISION_AUTO = 0, MIXTRAL_PRECISION_F32 = 1 };

typedef struct mixtral_load_params {
  uint32_t struct_size;
  int32_t isa;  /* MIXTRAL_ISA_*; 0 = what the environment's MIXTRAL_ISA says, else the best */
  int32_t gemm; /* MIXTRAL_GEMM_*; 0 = what the environment's MIXTRAL_GEMM says, else the best */
  int32_t precision;                     /* MIXTRAL_PRECISION_* */
  mixtral_progress_callback on_progress; /* counts files; may be NULL */
  void* user_data;                       /* for on_progress */
} mixtral_load_params;

/* Opens a checkpoint: a Hugging Face directory or a native file. `path` is zero-terminated. Weights are
   mapped, not read. A checkpoint without a tokenizer loads, and works with tokens only. */
MIXTRAL_STATUS mixtral_load(const char* path, const mixtral_load_params* params,
                            mixtral_model** model);

MIXTRAL_API void mixtral_model_free(mixtral_model* model);

typedef struct mixtral_info {
  uint32_t struct_size;
  int32_t isa;       /* MIXTRAL_ISA_* in use */
  int32_t gemm;      /* MIXTRAL_GEMM_* in use */
  int32_t precision; /* MIXTRAL_PRECISION_* in use */
  uint64_t n_layers;
  uint64_t hidden;
  uint64_t ffn; /* width of one expert */
  uint64_t n_heads;
  uint64_t n_kv_heads;
  uint64_t head_dim;
  uint64_t n_experts;
  uint64_t top_k; /* experts used per token */
  uint64_t vocab;
  uint64_t max_position;
  uint64_t sliding_window; /* 0 = none */
  uint64_t weight_bytes;
  int32_t bos_token;
  int32_t has_tokenizer; /* 0 or 1 */
  int32_t chat_version;  /* 1 or 3: Mistral's instruct format that the vocabulary is made for */
  int32_t reserved;
} mixtral_info;

/* Describes a model. Set info->struct_size before; what this version doesn't know is zeroed. */
MIXTRAL_STATUS mixtral_model_info(const mixtral_model* model, mixtral_info* info);

/* The tokens that end a text. */
MIXTRAL_STATUS mixtral_eos_tokens(const mixtral_model* model, mixtral_token* tokens,
                                  size_t capacity, size_t* n_tokens);

/* --- Text and tokens ------------------------------------------------------------------------ */

/* Flags of mixtral_tokenize. */
enum { MIXTRAL_NO_BOS = 1 };

/* The tokens of `text`, BOS first unless `flags` has MIXTRAL_NO_BOS. */
MIXTRAL_STATUS mixtral_tokenize(const mixtral_model* model, const char* text, size_t text_size,
                                uint32_t flags, mixtral_token* tokens, size_t capacity,
                                size_t* n_tokens);

/* The text of `tokens`. Control tokens have none; the leading space that mixtral_tokenize puts
   before a text is dropped. */
MIXTRAL_STATUS mixtral_detokenize(const mixtral_model* model, const mixtral_token* tokens,
                                  size_t n_tokens, char* text, size_t capacity, size_t* text_size);

enum { MIXTRAL_ROLE_SYSTEM = 0, MIXTRAL_ROLE_USER = 1, MIXTRAL_ROLE_ASSISTANT = 2 };

/* One message of a conversation. This struct never grows. */
typedef struct mixtral_message {
  int32_t role; /* MIXTRAL_ROLE_* */
  const char* content;
  size_t content_size;
} mixtral_message;

/* The tokens of a conversation in the model's instruct format, BOS first, for the model to go on
   from. The last message is the user's, or the assistant's: then the model continues its text. */
MIXTRAL_STATUS mixtral_format_chat(const mixtral_model* model, const mixtral_message* messages,
                                   size_t n_messages, mixtral_token* tokens, size_t capacity,
                                   size_t* n_tokens);

/* --- Contexts ------------------------------------------------------------------------------- */

/* One sequence of tokens and the model's memory of it. One thread at a time. */
typedef struct mixtral_context mixtral_context;

/* Q8_0: 8 bits and a scale for 32 elements, half the memory of F16; head_dim must be a multiple of 32. */
enum { MIXTRAL_TYPE_F32 = 1, MIXTRAL_TYPE_F16 = 2, MIXTRAL_TYPE_BF16 = 3, MIXTRAL_TYPE_Q8_0 = 4 };

typedef struct mixtral_context_params {
  uint32_t struct_size;
  int32_t cache_type;  /* MIXTRAL_TYPE_* of keys and values; 0 = f16, or f32 with PRECISION_F32 */
  uint64_t n_ctx;      /* tokens it can hold, at most max_position; 0 = 4096, or less if the model's
                          max_position is */
  uint64_t chunk_size; /* tokens of a prompt computed at once; 0 = 512 */
  uint64_t n_threads;  /* 0 = as many as this process may use */
} mixtral_context_params;

MIXTRAL_STATUS mixtral_context_create(const mixtral_model* model,
                                      const mixtral_context_params* params,
                                      mixtral_context** context);

MIXTRAL_API void mixtral_context_free(mixtral_context* context);

/* An independent copy, with threads of its own. */
MIXTRAL_STATUS mixtral_context_clone(const mixtral_context* context, mixtral_context** clone);

/* The tokens it holds. */
MIXTRAL_STATUS mixtral_context_tokens(const mixtral_context* context, mixtral_token* tokens,
                                      size_t capacity, size_t* n_tokens);

/* Forgets every token from number `size` on. */
MIXTRAL_STATUS mixtral_context_rewind(mixtral_context* context, size_t size);

/* --- Logits --------------------------------------------------------------------------------- */

/* Appends `tokens` and gives the logits [vocab] that follow the last of them; they are valid until
   the context is used again. On failure the context is as it was. */
MIXTRAL_STATUS mixtral_eval(mixtral_context* context, const mixtral_token* tokens, size_t n_tokens,
                            const float** logits);

typedef struct mixtral_logits_event {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t first; /* the first row follows tokens[first], the next one tokens[first + 1], ... */
  uint64_t n_rows;
  uint64_t vocab;
  const float* logits; /* [n_rows, vocab] */
} mixtral_logits_event;

typedef int32_t (*mixtral_logits_callback)(const mixtral_logits_event* event, void* user_data);

/* The same for the logits after every one of `tokens`, chunk by chunk. */
MIXTRAL_STATUS mixtral_eval_all(mixtral_context* context, const mixtral_token* tokens,
                                size_t n_tokens, mixtral_logits_callback on_logits,
                                void* user_data);

/* --- Generation ----------------------------------------------------------------------------- */

/* Added to one token's logit before anything else; -INFINITY forbids the token. This struct never
   grows. */
typedef struct mixtral_logit_bias {
  mixtral_token token;
  float bias;
} mixtral_logit_bias;

/* How a token is chosen. The steps apply in this order: bias, penalties, temperature, top-k, top-p,
   min-p. All zero is greedy. The same seed, params and logits give the same tokens everywhere. */
typedef struct mixtral_sampling_params {
  uint32_t struct_size;
  uint32_t reserved;                    /* 0 */
  const mixtral_logit_bias* logit_bias; /* [n_logit_bias] */
  uint64_t n_logit_bias;
  double repetition_penalty; /* divides (or, below 0, multiplies) the logits of tokens in the prompt
                                or the generated text; 0 = 1 = off */
  double frequency_penalty;  /* subtracted per occurrence in the generated text */
  double presence_penalty;   /* subtracted once from tokens in the generated text */
  double temperature;        /* 0 = greedy: the steps below don't matter */
  uint64_t top_k;            /* keep the k likeliest; 0 = all */
  double top_p;              /* keep the likeliest that sum to this probability; 0 = 1 = all */
  double min_p;              /* keep those at least this fraction as likely as the likeliest */
  uint64_t seed;
} mixtral_sampling_params;

/* What the model's generation_config.json asks for. Set sampling->struct_size before. */
MIXTRAL_STATUS mixtral_default_sampling(const mixtral_model* model,
                                        mixtral_sampling_params* sampling);

/* A piece of text. This struct never grows. */
typedef struct mixtral_text {
  const char* data;
  size_t size;
} mixtral_text;

/* Natural logarithm of the model's own probability (before bias, penalties, temperature and
   filters). This struct never grows. */
typedef struct mixtral_token_logprob {
  mixtral_token token;
  double logprob;
} mixtral_token_logprob;

enum {
  MIXTRAL_FINISH_NONE = 0,  /* more is to come */
  MIXTRAL_FINISH_EOS = 1,   /* the model ended its text */
  MIXTRAL_FINISH_STOP = 2,  /* a stop string appeared */
  MIXTRAL_FINISH_LENGTH = 3 /* max_new_tokens were generated */
};

/* One token. */
typedef struct mixtral_token_event {
  uint32_t struct_size;
  mixtral_token token;
  const char* text; /* what became certain with this token: whole UTF-8 characters, possibly none */
  uint64_t text_size;
  double logprob;                            /* NaN unless asked for */
  const mixtral_token_logprob* top_logprobs; /* [n_top_logprobs], likeliest first */
  uint64_t n_top_logprobs;
  int32_t finish; /* MIXTRAL_FINISH_*; set on the last token */
  int32_t reserved;
} mixtral_token_event;

typedef int32_t (*mixtral_token_callback)(const mixtral_token_event* event, void* user_data);

/* What to do when prompt and new tokens exceed n_ctx: fail with MIXTRAL_CAPACITY before any work,
   or drop from the front what doesn't fit, but keep BOS. */
enum { MIXTRAL_OVERFLOW_ERROR = 0, MIXTRAL_OVERFLOW_TRUNCATE = 1 };

typedef struct mixtral_generate_params {
  uint32_t struct_size;
  int32_t overflow;        /* MIXTRAL_OVERFLOW_* */
  uint64_t max_new_tokens; /* 0 = what generation_config.json says, else all that fits n_ctx; with
                              on_prompt_token 0 = none */
  const mixtral_sampling_params* sampling; /* NULL = mixtral_default_sampling */
  const mixtral_text* stop; /* [n_stop] the text ends before the first of these; not empty */
  uint64_t n_stop;
  uint32_t logprobs;                   /* 1 = report each token's log-probability */
  uint32_t top_logprobs;               /* report so many of the likeliest tokens too */
  mixtral_progress_callback on_prompt; /* after each chunk of the prompt: its tokens; or NULL */
  void* on_prompt_data;                /* user_data of on_prompt */
  /* For each token of the prompt from number prompt_logprobs_from on that has one before
     it, in order, with its log-probability and as many likeliest tokens as asked for, but no text;
     or NULL. Where nothing is generated, the last of them has a finish. */
  mixtral_token_callback on_prompt_token;
  void* on_prompt_token_data; /* user_data of on_prompt_token */
  uint64_t prompt_logprobs_from;
} mixtral_generate_params;

/* Appends `prompt` and generates what follows, a call of `on_token` for each token. An empty
   context starts with BOS, so an empty prompt means BOS alone; in any other, `prompt` is encoded as
   a text of its own, and an empty one goes on from what is held. Afterwards the context holds the
   prompt and the generated tokens, also when a callback stopped it. */
MIXTRAL_STATUS mixtral_generate(mixtral_context* context, const char* prompt, size_t prompt_size,
                                const mixtral_generate_params* params,
                                mixtral_token_callback on_token, void* user_data);

/* Appends `tokens`, at least one, as they are, and generates what follows. */
MIXTRAL_STATUS mixtral_generate_tokens(mixtral_context* context, const mixtral_token* tokens,
                                       size_t n_tokens, const mixtral_generate_params* params,
                                       mixtral_token_callback on_token, void* user_data);

/* Holds the conversation `messages`, from its beginning, instead of whatever was held, and
   generates the reply. What both have in common isn't computed again: each turn of a chat costs its
   new messages. */
MIXTRAL_STATUS mixtral_chat(mixtral_context* context, const mixtral_message* messages,
                            size_t n_messages, const mixtral_generate_params* params,
                            mixtral_token_callback on_token, void* user_data);

/* --- Batches -------------------------------------------------------------------------------- */

/* Texts that are generated side by side: each step reads the weights once for all of them. Requests
   may join and leave at any time; no text depends on the others. Prompts that begin alike are
   computed once. One thread at a time. */
typedef struct mixtral_batch mixtral_batch;

/* Flags of mixtral_batch_params. */
enum { MIXTRAL_NO_PREFIX_CACHE = 1 }; /* every prompt is computed from its beginning */

typedef struct mixtral_batch_params {
  uint32_t struct_size;
  uint32_t flags;                        /* MIXTRAL_NO_PREFIX_CACHE or 0 */
  const mixtral_context_params* context; /* n_ctx is per sequence, chunk_size is shared; or NULL */
  uint64_t max_sequences;                /* computed at once; 0 = 32 */
  uint64_t prefix_cache_bytes; /* for keys and values of finished sequences; 0 = 1 GiB */
  uint64_t max_cache_bytes;    /* for those of all sequences: requests wait for room; 0 = no limit */
} mixtral_batch_params;

MIXTRAL_STATUS mixtral_batch_create(const mixtral_model* model, const mixtral_batch_params* params,
                                    mixtral_batch** batch);

MIXTRAL_API void mixtral_batch_free(mixtral_batch* batch);

/* Add a request: what mixtral_generate, mixtral_generate_tokens and mixtral_chat do in an empty
   context. It starts with a coming step. `index` is 0, 1, 2, ... in the order of the calls. */
MIXTRAL_STATUS mixtral_batch_add(mixtral_batch* batch, const char* prompt, size_t prompt_size,
                                 const mixtral_generate_params* params, uint64_t* index);
MIXTRAL_STATUS mixtral_batch_add_tokens(mixtral_batch* batch, const mixtral_token* tokens,
                                        size_t n_tokens, const mixtral_generate_params* params,
                                        uint64_t* index);
MIXTRAL_STATUS mixtral_batch_add_chat(mixtral_batch* batch, const mixtral_message* messages,
                                      size_t n_messages, const mixtral_generate_params* params,
                                      uint64_t* index);

/* Sees a token of the request `index`. Anything but 0 ends this request, and no other. */
typedef int32_t (*mixtral_batch_callback)(uint64_t index, const mixtral_token_event* event,
                                          void* user_data);

/* Runs the network once for all requests whose turn it is. `n_left` is the number of requests that
   are waiting or running afterwards. Callbacks may add to the batch and cancel. A callback of a
   request's params that doesn't return 0 ends that request. */
MIXTRAL_STATUS mixtral_batch_step(mixtral_batch* batch, mixtral_batch_callback on_token,
                                  void* user_data, uint64_t* n_left);

/* Ends a request at once. Does nothing if it has ended. */
MIXTRAL_STATUS mixtral_batch_cancel(mixtral_batch* batch, uint64_t index);

typedef struct mixtral_stats {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t n_running;
  uint64_t n_waiting;
  uint64_t n_positions;       /* in the caches of running sequences */
  uint64_t cache_bytes;       /* reserved for running sequences */
  uint64_t prefix_bytes;      /* of finished ones, kept for others */
  uint64_t n_prompt_computed; /* tokens of prompts, since the batch was made */
  uint64_t n_prompt_reused;   /* those that didn't have to be computed */
} mixtral_stats;

/* How a batch is doing. Set stats->struct_size before. */
MIXTRAL_STATUS mixtral_batch_stats(const mixtral_batch* batch, mixtral_stats* stats);

/* --- Scores --------------------------------------------------------------------------------- */

/* A text of which the end is scored. This struct never grows. */
typedef struct mixtral_score_request {
  const mixtral_token* context; /* [n_context], at least one, such as BOS */
  size_t n_context;
  const mixtral_token* continuation; /* [n_continuation] */
  size_t n_continuation;
  double* token_logprobs; /* [n_continuation] filled with the log-probability of each; or NULL */
} mixtral_score_request;

/* This struct never grows. */
typedef struct mixtral_score {
  double logprob;    /* of the whole continuation */
  int32_t is_greedy; /* 1 = each token is the likeliest after those before it */
  int32_t reserved;
} mixtral_score;

/* Fills `scores` [n_requests] in a batch without other requests. What requests have in common at
   their beginning is computed once, best when they come one after the other. `on_progress` counts
   requests; it may be NULL. */
MIXTRAL_STATUS mixtral_batch_score(mixtral_batch* batch, const mixtral_score_request* requests,
                                   size_t n_requests, mixtral_score* scores,
                                   mixtral_progress_callback on_progress, void* user_data);

#ifdef __cplusplus
}
#endif

#endif

// The C interface from C++: exceptions of callbacks, threads, and what the header promises of its
// structs. Usage: test_capi_cpp MODEL
#include <mixtral.h>

#include <array>
#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"

// The layout is the ABI: on 64-bit machines no member may move.
static_assert(sizeof(void*) != 8 || sizeof(mixtral_progress_event) == 24);
static_assert(sizeof(void*) != 8 || sizeof(mixtral_load_params) == 32);
static_assert(sizeof(void*) != 8 || sizeof(mixtral_info) == 128);
static_assert(sizeof(void*) != 8 || sizeof(mixtral_message) == 24);
static_assert(sizeof(void*) != 8 || sizeof(mixtral_context_params) == 32);
static_assert(sizeof(void*) != 8 || sizeof(mixtral_logits_event) == 40);
static_assert(sizeof(void*) != 8 || sizeof(mixtral_logit_bias) == 8);
static_assert(sizeof(void*) != 8 || sizeof(mixtral_sampling_params) == 88);
static_assert(sizeof(void*) != 8 || sizeof(mixtral_text) == 16);
static_assert(sizeof(void*) != 8 || sizeof(mixtral_generate_params) == 88);
static_assert(sizeof(void*) != 8 || offsetof(mixtral_generate_params, on_prompt_token) == 64);
static_assert(sizeof(void*) != 8 || sizeof(mixtral_token_logprob) == 16);
static_assert(sizeof(void*) != 8 || sizeof(mixtral_token_event) == 56);

namespace {

const std::string kPrompt = "Once upon a time";

mixtral_context* new_context(const mixtral_model* model) {
  mixtral_context* context = nullptr;
  mixtral_context_params params = {};
  params.struct_size = sizeof(params);
  params.n_threads = 1;
  CHECK_OK(mixtral_context_create(model, &params, &context));
  return context;
}

mixtral_status generate(mixtral_context* context, mixtral_token_callback on_token, void* data) {
  mixtral_generate_params params = {};
  params.struct_size = sizeof(params);
  params.max_new_tokens = 16;
  return mixtral_generate(context, kPrompt.data(), kPrompt.size(), &params, on_token, data);
}

int32_t append_text(const mixtral_token_event* event, void* text) {
  static_cast<std::string*>(text)->append(event->text, event->text_size);
  return 0;
}

void test_exceptions(const mixtral_model* model) {
  mixtral_context* context = new_context(model);
  CHECK_STATUS(MIXTRAL_INTERNAL, "from a callback",
               generate(
                   context,
                   [](const mixtral_token_event*, void*) -> int32_t {
                     throw std::runtime_error("from a callback");
                   },
                   nullptr));
  CHECK_STATUS(
      MIXTRAL_OUT_OF_MEMORY, "memory",
      generate(
          context, [](const mixtral_token_event*, void*) -> int32_t { throw std::bad_alloc(); },
          nullptr));
  CHECK_STATUS(
      MIXTRAL_INTERNAL, "exception",
      generate(
          context, [](const mixtral_token_event*, void*) -> int32_t { throw 7; }, nullptr));
  std::string text;
  CHECK_OK(generate(context, append_text, &text));
  CHECK(!text.empty());
  mixtral_context_free(context);
}

void test_threads(const mixtral_model* model) {
  std::array<std::string, 3> texts;
  std::vector<std::thread> threads;
  for (std::string& text : texts) {
    threads.emplace_back([model, &text] {
      CHECK(std::string(mixtral_last_error()).empty());
      mixtral_context* context = new_context(model);
      CHECK_OK(generate(context, append_text, &text));
      mixtral_context_free(context);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(!texts[0].empty() && texts[0] == texts[1] && texts[0] == texts[2]);
}

void test_last_error() {
  CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "context", mixtral_context_rewind(nullptr, 0));
  const std::string here = mixtral_last_error();
  std::thread([] {
    CHECK_STATUS(MIXTRAL_INVALID_ARGUMENT, "clone", mixtral_context_clone(nullptr, nullptr));
  }).join();
  CHECK(here == mixtral_last_error());
  // A message is data: what looks like a format comes through as it is.
  mixtral_model* model = nullptr;
  CHECK_STATUS(MIXTRAL_IO, "%s%n", mixtral_load("/nonexistent/%s%n", nullptr, &model));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  mixtral_model* model = nullptr;
  CHECK_OK(mixtral_load(argv[1], nullptr, &model));
  test_exceptions(model);
  test_threads(model);
  test_last_error();
  mixtral_model_free(model);
  std::puts("all passed");
}

/* Continues a text, token by token: generate MODEL [PROMPT] */
#include <mixtral.h>
#include <stdio.h>
#include <string.h>

static int32_t print(const mixtral_token_event* event, void* user_data) {
  (void)user_data;
  fwrite(event->text, 1, event->text_size, stdout);
  return fflush(stdout);
}

int main(int argc, char** argv) {
  const char* prompt = argc > 2 ? argv[2] : "Once upon a time";
  mixtral_generate_params params = {.struct_size = sizeof(params), .max_new_tokens = 60};
  mixtral_model* model = NULL;
  mixtral_context* context = NULL;
  size_t n_tokens = 0;

  mixtral_status status = mixtral_load(argc > 1 ? argv[1] : ".", NULL, &model);
  if (status == MIXTRAL_OK)
    status = mixtral_tokenize(model, prompt, strlen(prompt), 0, NULL, 0, &n_tokens);
  if (status == MIXTRAL_OK) status = mixtral_context_create(model, NULL, &context);
  if (status == MIXTRAL_OK) {
    fprintf(stderr, "%zu tokens in the prompt\n", n_tokens);
    status = mixtral_generate(context, prompt, strlen(prompt), &params, print, NULL);
    printf("\n");
  }
  if (status != MIXTRAL_OK) fprintf(stderr, "%s\n", mixtral_last_error());
  mixtral_context_free(context);
  mixtral_model_free(model);
  return status != MIXTRAL_OK;
}

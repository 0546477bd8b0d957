#include <mixtral.h>
#include <stdio.h>

int main(int argc, char** argv) {
  mixtral_info info = {.struct_size = sizeof(info)};
  mixtral_model* model = NULL;
  mixtral_status status = mixtral_load(argv[argc - 1], NULL, &model);
  if (status == MIXTRAL_OK) status = mixtral_model_info(model, &info);
  if (status != MIXTRAL_OK) fprintf(stderr, "%s\n", mixtral_last_error());
  printf("%d experts\n", (int)info.n_experts);
  mixtral_model_free(model);
  return status != MIXTRAL_OK;
}

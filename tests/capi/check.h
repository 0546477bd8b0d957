/* Checks for the C tests: a failed one says where, and ends the program. */
#ifndef MIXTRAL_TESTS_CAPI_CHECK_H
#define MIXTRAL_TESTS_CAPI_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) {                                                               \
      fprintf(stderr, "%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, #condition, \
              mixtral_last_error());                                                  \
      exit(1);                                                                        \
    }                                                                                 \
  } while (0)

/* `call` must return `status` and, unless that is MIXTRAL_OK, a message that contains `words`. */
#define CHECK_STATUS(status, words, call)                                      \
  do {                                                                         \
    const mixtral_status found = (call);                                       \
    if (found != (status)) fprintf(stderr, "status %d: ", (int)found);         \
    CHECK(found == (status) && #call);                                         \
    CHECK(found == MIXTRAL_OK || strstr(mixtral_last_error(), words) != NULL); \
  } while (0)

#define CHECK_OK(call) CHECK_STATUS(MIXTRAL_OK, "", call)

#endif

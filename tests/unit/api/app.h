/*
 * What the tests of this floor share: the API over a store and a signer of the test's own, asked without a network.
 */
#ifndef TEST_APP_H
#define TEST_APP_H

#include "world.h"

#include "api/app.h"

typedef struct app_world {
  world_t w;
  app_t app;
  http_app_t http;
  const char *headers, *body; /* of the last reply to app_say, terminated; live until the next */
  arena_t *last;
} app_world_t;

/* One request. Without `key` no Authorization is sent. */
typedef struct ask {
  const char *method, *path, *key, *body;
  const char *headers; /* further complete lines */
  bool on_loop, wait_over;
  long fail;     /* this allocation of the handler fails; 0: none */
  size_t budget; /* of its arena; 0: the route's */
} ask_t;

/* Setup and teardown of a test: administrator "root-key", viewer "reader-key". */
int app_setup(void **state);
int app_teardown(void **state);

/* The reply's texts live in the arena. A request that `plan` refuses is one with its status alone. */
http_response_t app_ask(app_world_t *f, arena_t *a, const ask_t *q);

/* Status of the reply; its texts are in f->headers and f->body. */
int app_say(app_world_t *f, const ask_t *q);

/* The same as the administrator. `body` NULL: none. */
int app_do(app_world_t *f, const char *method, const char *path, const char *body);

/* Whether the last reply's body holds the text. */
bool app_has(const app_world_t *f, const char *text);

/* app_do with the status that must come, and a text that the last body must hold: else the test fails and shows the reply. */
void app_want(app_world_t *f, int status, const char *method, const char *path, const char *body);
void app_holds(const app_world_t *f, const char *text);

#endif

/*
 * The API as one value: what the routes act on. Made once at start.
 */
#ifndef API_APP_H
#define API_APP_H

#include "core/auth.h"
#include "core/core.h"
#include "net/http_server.h"

#include <stdatomic.h>

typedef struct denial_log denial_log_t;

typedef struct app {
  core_t core;
  auth_t *auth;
  http_server_t *server; /* set once it listens */
  us_t started;
  denial_log_t *denials;     /* audit rows of 401 and 403, one a minute each */
  _Atomic uint64_t requests; /* answered since the start */
} app_t;

/* Callbacks of the HTTP server for this app. */
http_app_t app_http(app_t *app);

MUST rc_t app_start(app_t *app, err_t *e);
void app_stop(app_t *app);

#endif

/*
 * HTTPS server: one loop thread per core with SO_REUSEPORT owns its connections
 * (TLS 1.3 over memory BIOs), parses requests strictly, and hands each to the
 * application on a bounded worker pool. A handler is straight-line code; its
 * response is queued back to the loop. A request that must wait for an event is
 * parked: it keeps its bytes on the connection and owns no worker and no arena.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "wire/http1.h"

typedef struct http_server http_server_t;

/* What the loop asks before it reads a body; answered without blocking, from the head alone. */
typedef struct http_plan {
  size_t body_max;     /* larger bodies: 413 and close */
  size_t arena_max;    /* budget of the request's arena */
  int queue;           /* queue class: 0 .. HTTP_QUEUES - 1 */
  const void *route;   /* handed to `handle` */
  int status;          /* not 0: answer this at once through `refuse` (404, 405) */
} http_plan_t;

enum { HTTP_QUEUES = 3 };

/* A request as the handler sees it; all slices live until it returns. */
typedef struct http_request {
  const http1_head_t *head;
  slice_t body;
  slice_t remote_addr;   /* text */
  const void *route;
  arena_t *arena;        /* this request's, with the plan's budget */
  bool resumed;          /* run again after being parked */
  bool wait_over;        /* … because its wait ran out */
} http_request_t;

/* Filled by the handler. Head and body go out in one TLS record where they fit. */
typedef struct http_response {
  int status;
  slice_t headers;       /* complete lines, each ended by CRLF, beyond Date, Content-Length and the fixed security headers */
  slice_t body;          /* copied before the arena is reset */
  bool park;             /* nothing is sent; run again on http_server_wake(kind, key) or at the deadline */
  char park_kind;
  slice_t park_key;
  int64_t park_ms;
  bool close;
} http_response_t;

typedef struct http_app {
  void (*plan)(void *self, const http1_head_t *head, http_plan_t *ret);
  void (*handle)(void *self, const http_request_t *rq, http_response_t *rp);
  /* Body of an answer the server itself gives (400, 404, 405, 408, 413, 431, 500, 501, 503, 505): JSON text into buf. */
  void (*refuse)(void *self, int status, const http1_head_t *head_or_null, buf_t *headers, buf_t *body);
  void *self;
} http_app_t;

typedef struct http_server_options {
  slice_t host;
  uint16_t port;
  int loops;               /* 0: one per core */
  int workers;             /* threads, shared among the queues (design D6: 64) */
  int queue_depth[HTTP_QUEUES];
  int64_t head_timeout_ms, read_timeout_ms, write_timeout_ms, idle_timeout_ms;
  size_t max_connections;
  const timesrc_t *time;
} http_server_options_t;

/* Binds and starts serving. RC_IO with e->text naming the address ("address already in use"). The identity is PEM text. */
MUST rc_t http_server_start(const http_server_options_t *o, const http_app_t *app, slice_t cert_pem, slice_t key_pem, http_server_t **ret, err_t *e);

/* Swaps the identity for new handshakes; on failure the old one stays. Any thread. */
MUST rc_t http_server_identity(http_server_t *s, slice_t cert_pem, slice_t key_pem, err_t *e);

/* Runs every parked request with this kind and key again. Any thread. */
void http_server_wake(http_server_t *s, char kind, slice_t key);

/* Keys parked under a kind now, up to cap; for the dispatcher's one query. Returns how many. */
size_t http_server_parked(http_server_t *s, char kind, slice_t *keys, size_t cap, arena_t *a);

/* Stops accepting, answers what is in flight (at most drain_ms; parked ones run with wait_over), frees all. */
void http_server_stop(http_server_t *s, int64_t drain_ms);

#endif

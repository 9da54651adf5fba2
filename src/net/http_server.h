/*
 * HTTPS server: one loop thread per core with SO_REUSEPORT owns its connections
 * (TLS 1.3 over memory), parses requests strictly, and hands each to the
 * application on a bounded worker pool. A handler is straight-line code; its
 * response is queued back to the loop. A request that must wait for an event is
 * parked: it keeps its bytes on the connection and owns no worker and no arena.
 *
 * Threads: `plan` and `refuse` run on a loop thread and must not block; `handle`
 * runs on a worker (or on the loop, where the plan says so) with an arena of its own. All three may run at the same time
 * on several threads. Connections are touched by their loop alone. Locks, all
 * of them leaves that are never held across a call out: the pool's, the park
 * index's (wakes post to loops after it is released), the TLS identity's.
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
  size_t body_max;     /* larger bodies: 413 and close. 0: a body of at most LIM_HTTP_SPARE_BODY is read and dropped */
  size_t arena_max;    /* budget of the request's arena */
  int queue;           /* queue class: 0 .. HTTP_QUEUES - 1 */
  const void *route;   /* handed to `handle` */
  bool on_loop;        /* `handle` runs at once on the loop thread: it does no I/O and waits for nobody, or says `elsewhere` */
  int status;          /* not 0: answer this at once through `refuse` (404, 405) */
} http_plan_t;

enum { HTTP_QUEUES = 3, HTTP_LOOPS_MAX = 64 };

/* A request as the handler sees it; all slices live until it returns. */
typedef struct http_request {
  const http1_head_t *head;
  slice_t body;
  slice_t remote_addr;   /* text */
  slice_t request_id;    /* UUID v4, sent as X-Request-ID; new for each run */
  const void *route;
  arena_t *arena;        /* this request's, with the plan's budget */
  bool resumed;          /* run again after being parked */
  bool wait_over;        /* … because its wait ran out, or the server stops */
  bool on_loop;          /* runs on the loop thread: must not block; `elsewhere` is the way out */
} http_request_t;

/*
 * Filled by the handler; zeroed before. Head and body go out in one TLS record where they fit. HEAD is handled as
 * its GET: the server leaves the body out. A status of 0 is answered with 500 through `refuse`.
 */
typedef struct http_response {
  int status;
  slice_t headers;       /* complete lines, each ended by CRLF, beyond Date, Content-Length, X-Request-ID, Connection and the security headers */
  slice_t body;          /* copied before the arena is reset */
  bool park;             /* nothing is sent; run again on http_server_wake(kind, key) or at the deadline */
  char park_kind;
  slice_t park_key;
  int64_t park_ms;
  bool close;
  bool elsewhere;        /* of a request on the loop: nothing is sent, a worker runs it from the start */
} http_response_t;

typedef struct http_app {
  void (*plan)(void *self, const http1_head_t *head, http_plan_t *ret);
  /*
   * To park, read the state first and park if there is nothing: a wake that comes between the start of
   * `handle` and the parking runs the request again at once, so none is lost.
   */
  void (*handle)(void *self, const http_request_t *rq, http_response_t *rp);
  /*
   * Answer that the server itself gives (400, 404, 405, 408, 413, 414, 417, 431, 500, 501, 503, 505): JSON text into
   * body, header lines (Content-Type; Allow for 405) into headers. head is NULL when it could not be read.
   */
  void (*refuse)(void *self, int status, const http1_head_t *head, slice_t request_id, buf_t *headers, buf_t *body);
  void *self;
} http_app_t;

typedef struct http_server_options {
  slice_t host;
  uint16_t port;           /* 0: any, see http_server_port */
  int loops;               /* 0: http_server_loops() */
  const int *listen_fds;   /* `loops` sockets of loop_listen_open, taken over once the rest is made; NULL: host and port are opened */
  int workers;             /* most threads, shared among the queues; 0: 64 (design D6). Made when they are needed */
  size_t worker_stack;     /* bytes; 0: 256 KiB */
  int queue_depth[HTTP_QUEUES]; /* requests that may wait; 0: 1024 */
  int queue_workers[HTTP_QUEUES]; /* most workers on one class at once; 0: all, five eighths, a quarter */
  int64_t head_timeout_ms, read_timeout_ms, write_timeout_ms, idle_timeout_ms; /* 0: 5, 30, 120, 60 s */
  size_t max_connections;  /* further ones are closed at once; 0: 16,384 */
  const timesrc_t *time;   /* NULL: the system's */
} http_server_options_t;

/* One loop per core: what `loops` 0 means. */
int http_server_loops(void);

/*
 * Binds and starts serving. RC_IO with e->text naming the fault ("address already in use"). The identity is PEM text.
 * *ret must be initialised (NULL); it is set before the first handler runs, so that handlers may use it.
 */
MUST rc_t http_server_start(const http_server_options_t *o, const http_app_t *app, slice_t cert_pem, slice_t key_pem, http_server_t **ret, err_t *e);

/* Port that is served. */
uint16_t http_server_port(const http_server_t *s);

/* Swaps the identity for new handshakes; on failure the old one stays. Any thread. */
MUST rc_t http_server_identity(http_server_t *s, slice_t cert_pem, slice_t key_pem, err_t *e);

/* Runs every parked request with this kind and key again. Any thread; constant time but for those that match. */
void http_server_wake(http_server_t *s, char kind, slice_t key);

/* Keys parked under a kind now, each once, up to cap; for the dispatcher's one query. Returns how many. Any thread. */
size_t http_server_parked(http_server_t *s, char kind, slice_t *keys, size_t cap, arena_t *a);

typedef struct http_stats {
  int64_t connections, parked;             /* now */
  int64_t accepted, shed;                  /* since the start; shed: over max_connections or without memory */
  int64_t requests, refused, handshakes;   /* refused: answered by the server itself */
  struct {
    int64_t waiting, running, dropped;     /* dropped: 503, the queue was full */
  } queue[HTTP_QUEUES];
  int64_t workers;
} http_stats_t;

/* Any thread. */
http_stats_t http_server_stats(http_server_t *s);

/*
 * Stops accepting, answers what is in flight (at most drain_ms; parked ones run with wait_over), frees all. Waits for
 * handlers that are still running. No other call on s may run or follow.
 */
void http_server_stop(http_server_t *s, int64_t drain_ms);

#endif

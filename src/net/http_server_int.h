/*
 * What the two halves of the server share: http_server.c (start, stop, workers)
 * and http_conn.c (connections on their loops).
 */
#ifndef NET_HTTP_SERVER_INT_H
#define NET_HTTP_SERVER_INT_H

#include "io/loop.h"
#include "io/pool.h"
#include "io/wheel.h"
#include "net/http_intake.h"
#include "net/http_reply.h"
#include "net/park.h"
#include "net/tls.h"

#include <pthread.h>
#include <stdatomic.h>

enum { HTTP_ADDR_MAX = 46 }; /* the longest IPv6 address as text, with its zero */

typedef struct http_conn http_conn_t;
typedef struct http_loop http_loop_t;

/*
 * One request on its way: on the loop while it is read and written, on a worker in between. Pooled by its loop.
 */
typedef struct http_call {
  pool_job_t job;
  loop_task_t done;
  http_loop_t *l;
  http_conn_t *conn;      /* NULL once the connection is gone; the loop's alone */
  http_intake_t in;
  buf_t out;              /* the response, in clear */
  bool resumed, wait_over;
  bool counted;           /* among its loop's `resuming` */
  bool on_loop;           /* the handler runs on the loop */
  bool elsewhere;         /* … and asked for a worker */
  bool keep_alive;        /* the worker's verdict */
  bool park;              /* … or to wait for park_kind and park_key */
  char park_kind;
  uint8_t park_key_n;
  uint8_t park_key[LIM_HTTP_PARK_KEY];
  int64_t park_ms;
  uint64_t since;         /* park_now before the handler began */
  uint8_t addr_n;
  char addr[HTTP_ADDR_MAX];
} http_call_t;

/* A parked request: all that is left of its call. */
typedef struct http_parked {
  park_entry_t entry;     /* first, so that a wake finds the rest */
  loop_task_t task;
  http_loop_t *l;
  http_conn_t *conn;      /* NULL once the connection is gone; the loop's alone */
  struct http_parked *next; /* in its loop's `due` */
  bool over;              /* due because the wait is over */
  http_plan_t plan;
  size_t text_n, body_n;
  uint8_t bytes[];        /* head, then decoded body */
} http_parked_t;

/* What each thread that runs handlers has for itself. */
typedef struct http_worker {
  arena_t *arena;
  http_stamp_t stamp;
} http_worker_t;

struct http_loop {
  http_server_t *s;
  loop_t *loop;
  loop_listener_t *listener;
  loop_timer_t *tick;
  bool ticking;
  wheel_t wheel;
  buf_t plain, out;       /* scratch of this thread, empty between events */
  http_call_t *free_calls; /* linked by job.next */
  int free_count;
  http_parked_t *due, **due_last; /* out of the index, to be run again in this order */
  int resuming;           /* of those, with the workers now */
  http_conn_t *conns;
  http_worker_t own;      /* for handlers on this loop, and for refusals */
  bool put;               /* calls were put in the pool this turn: kick it */
  loop_task_t drain;
};

struct http_server {
  http_server_options_t o;
  http_app_t app;
  uint16_t port;
  tls_server_t *tls;
  park_t *park;
  pool_t *pool;
  int nloops;
  http_loop_t *loops;
  atomic_bool draining;
  atomic_llong connections, accepted, shed, requests, refused, handshakes;
  pthread_mutex_t lock;   /* only for the condition */
  pthread_cond_t empty;   /* the last connection is gone */
};

/* Loop side; http_conn.c. */
extern const loop_stream_ops_t http_conn_ops;
void http_conn_tick(void *loop);                /* the wheel's timer */
void http_conn_rest(void *loop);                /* end of a turn: hands over what was put in the pool */
void http_conn_drain(loop_task_t *t);           /* closes what is idle, wakes what is parked */
void http_conn_done(loop_task_t *t);            /* a call comes back from its worker */
void http_conn_woken(park_entry_t *en);         /* any thread */
void http_call_free(http_call_t *call);

/* Worker side; http_server.c: runs the handler and composes the answer, or sets call->park. */
void http_call_run(http_server_t *s, http_worker_t *w, http_call_t *call);

/* Composes the answer that the server itself gives; head may be NULL. */
void http_refusal_put(http_server_t *s, http_stamp_t *st, const http1_head_t *head, int status, bool keep_alive, buf_t *out);

#endif

/*
 * Event loop: a thread that owns sockets and timers (libuv underneath, which
 * nobody else sees). Everything is called on the loop's own thread, except
 * where "any thread" is said. Callbacks never run inside the call that caused
 * them, but for data handed on by loop_stream_read.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/slice.h"

typedef struct loop loop_t;
typedef struct loop_listener loop_listener_t;
typedef struct loop_stream loop_stream_t;
typedef struct loop_timer loop_timer_t;

/* RC_NOMEM, RC_IO. */
MUST rc_t loop_new(loop_t **ret, err_t *e);

/* Runs the loop on a thread of its own with this name (at most 15 bytes). */
MUST rc_t loop_start(loop_t *l, const char *name, err_t *e);

/* Ends the loop: listeners, streams (their `closed` runs) and timers are closed first. Any thread; returns at once. */
void loop_stop(loop_t *l);

/* Waits for the thread of loop_start, if any, and frees. After loop_stop only. Tasks still queued are dropped. */
void loop_free(loop_t *l);

/* Milliseconds of the monotonic clock, as cached by the loop at the start of this turn. */
int64_t loop_now_ms(const loop_t *l);

/* --- work from other threads --- */

/* Embed in the object that is handed over; it belongs to the loop from loop_post until `run` is called. */
typedef struct loop_task {
  struct loop_task *next;
  void (*run)(struct loop_task *t);
} loop_task_t;

/* Runs t->run(t) on the loop's thread, in order of posting per thread. Any thread; one wake-up for many tasks. */
void loop_post(loop_t *l, loop_task_t *t);

/* Calls fn at the end of each turn, before the loop waits for events; one per loop, set before it runs. */
void loop_at_rest(loop_t *l, void (*fn)(void *self), void *self);

/* --- timers --- */

/* RC_NOMEM. Not yet running; it lives as long as the loop. */
MUST rc_t loop_timer_new(loop_t *l, void (*fire)(void *self), void *self, loop_timer_t **ret);
/* First after `first_ms`, then every `every_ms` (0: once). Replaces what was set. */
void loop_timer_set(loop_timer_t *t, int64_t first_ms, int64_t every_ms);
void loop_timer_clear(loop_timer_t *t);

/* --- sockets --- */

/*
 * Opens n listening sockets on one address (SO_REUSEPORT among them, exclusive towards everybody else; TCP_NODELAY).
 * host: IP address in text, "localhost", or empty for every address. port 0: any; *ret_port is the one taken.
 * RC_IO with e->text ("address already in use") and e->value "host:port"; RC_INVALID for a host that is no address.
 */
MUST rc_t loop_listen_open(slice_t host, uint16_t port, int n, int *ret_fds, uint16_t *ret_port, err_t *e);

/* Calls for one stream; `user` is the caller's part of it, zeroed at first. */
typedef struct loop_stream_ops {
  size_t user_size;
  bool (*opened)(void *user, void *self); /* false: close it (closed still runs) */
  void (*data)(void *user, slice_t in);   /* bytes live for the call only */
  void (*ended)(void *user, rc_t why);    /* RC_CLOSED: the peer sent its last byte; RC_IO: broken. Once */
  void (*sent)(void *user);               /* the queue has become empty, after a write that could not be done at once */
  void (*closed)(void *user);             /* last call; the memory goes away when it returns */
} loop_stream_ops_t;

/* Accepts on fd, which it takes over. Any thread before loop_start, the loop's thread afterwards. */
MUST rc_t loop_listen(loop_t *l, int fd, const loop_stream_ops_t *ops, void *self, loop_listener_t **ret, err_t *e);
void loop_listen_close(loop_listener_t *ln);

loop_stream_t *loop_stream_of(const void *user);

/*
 * Writes at once what the socket takes and queues a copy of the rest. RC_IO, RC_NOMEM, RC_CLOSED after shutdown or
 * close.
 */
MUST rc_t loop_stream_write(loop_stream_t *s, slice_t bytes);
size_t loop_stream_queued(const loop_stream_t *s);

/* Back pressure: off stops `data` and `ended`. On from the start. */
void loop_stream_read(loop_stream_t *s, bool on);

/* Sends the end of the stream behind what is queued; reading goes on. */
void loop_stream_shutdown(loop_stream_t *s);

/* `closed` comes later; no other call after this. Safe to call twice. */
void loop_stream_close(loop_stream_t *s);

enum { LOOP_ADDR_MAX = 64 };

/* Peer's address without the port, as text, terminated; returns its length, 0 if unknown. */
size_t loop_stream_peer(const loop_stream_t *s, char out[LOOP_ADDR_MAX]);

#endif

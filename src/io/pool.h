/*
 * Bounded pool of worker threads fed by a few queues. Each queue has a depth and
 * the most workers it may occupy at once, so that a flood in one class leaves
 * workers to the others. Threads after the first are made when work waits and nobody is idle,
 * and stay; idle ones are woken last in, first out, so that the few that are
 * needed keep their caches.
 *
 * A job belongs to the pool from pool_put to `run`. Lock order: the pool's own
 * lock is a leaf; `run` is called without it.
 */
#ifndef IO_POOL_H
#define IO_POOL_H

#include "base/rc.h"

typedef struct pool pool_t;

/* Embed in the object that is handed over. */
typedef struct pool_job {
  struct pool_job *next;
} pool_job_t;

enum { POOL_QUEUES = 4 };

typedef struct pool_options {
  const char *name;   /* of the threads; at most 12 bytes */
  int workers;        /* most threads */
  size_t stack_bytes; /* of each; 0: 256 KiB */
  int queues;
  struct {
    int depth;        /* most jobs that wait */
    int most;         /* most workers on it at once; 0: all */
  } queue[POOL_QUEUES];
  void *(*worker_new)(void *self);           /* a thread's own things; NULL result: the thread is not made */
  void (*worker_free)(void *self, void *mine);
  void (*run)(void *self, void *mine, pool_job_t *job);
  void *self;
} pool_options_t;

/* Makes the first thread. RC_NOMEM, also where the system gives no thread. */
MUST rc_t pool_new(const pool_options_t *o, pool_t **ret);

/*
 * Queues without waking anybody: one pool_kick for many, at the end of a loop's turn, saves the switches. False when
 * the queue is full or the pool is stopping: the job stays the caller's. Any thread.
 */
MUST bool pool_put(pool_t *p, int queue, pool_job_t *job);
void pool_kick(pool_t *p);

/* Jobs waiting, running, and refused since the start. Any thread. */
typedef struct pool_stats {
  int waiting, running, threads;
  int64_t refused;
} pool_stats_t;
pool_stats_t pool_stats(pool_t *p, int queue);

/* Runs what waits, then ends the threads; every later push is refused. Safe to call twice. */
void pool_stop(pool_t *p);

/* Stops, then frees. */
void pool_free(pool_t *p);

#endif

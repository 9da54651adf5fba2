/*
 * Background loops: one thread runs those whose time has come. A loop is
 * claimed through its row in the store (lease, attempt), so that replicas run
 * it once; its next time is drawn with ±10 % jitter by the claimer
 * (spec/scale.md 2.1, 2.4). Nothing else in the scheduler waits on a timer.
 */
#ifndef WORK_TICKER_H
#define WORK_TICKER_H

#include "base/random.h"
#include "db/db.h"
#include "desc/loop.h"

typedef struct ticker ticker_t;

typedef struct ticker_options {
  db_t *db;
  const timesrc_t *time;
  const rng_t *rng;
  const loop_t *loops;
  size_t nloops;
  void *ctx; /* handed to each run */
} ticker_options_t;

/* Adds missing loop rows and starts the thread. */
MUST rc_t ticker_start(const ticker_options_t *o, ticker_t **ret, err_t *e);

/* Wakes the thread, waits for a run under way, frees. Safe on NULL. */
void ticker_stop(ticker_t *t);

/* Span until the next tick: interval x (1 + f), f uniform in [-0.1, 0.1]; microseconds. */
int64_t ticker_draw_us(int64_t interval_s, const rng_t *rng);

#endif

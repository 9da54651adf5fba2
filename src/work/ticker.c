#include "work/ticker.h"

#include "base/log.h"
#include "base/mem.h"
#include "db/sql_stmts.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

enum {
  TICK_S = 1,        /* how often the rows are looked at; no loop is shorter */
  LOOP_LEASE_S = 30, /* spec/scale.md 2.4 */
  LOOPS_MAX = 32,
  TICKER_ARENA = 256 * 1024
};

struct ticker {
  ticker_options_t o;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool stopping;
  char holder[UUID_LEN + 1];
};

int64_t ticker_draw_us(int64_t interval_s, const rng_t *rng)
{
  int64_t us = interval_s * US_PER_S, span = us / 5;
  return us - span / 2 + (int64_t)rng_below(rng, (uint64_t)span + 1);
}

typedef struct due {
  slice_t name;
  us_t next, lease_until;
  int64_t attempt;
} due_t;

static rc_t rows_read(ticker_t *t, arena_t *a, due_t *rows, size_t *ret_n, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  size_t n = 0;
  rc_t got;
  TRY(db_read_begin(t->o.db, &r, e));
  TRY(db_query(r, sql_loops_due(a), e));
  while (rc_ok(got = db_next(r, e)) && n < LOOPS_MAX) {
    TRY(db_col_text_dup(r, 0, a, &rows[n].name));
    rows[n].next = db_col_time(r, 1);
    rows[n].attempt = db_col_int(r, 2);
    rows[n++].lease_until = db_col_time(r, 3);
  }
  if (!rc_ok(got) && !rc_is(got, RC_NOTFOUND)) return got;
  *ret_n = n;
  return rc(RC_OK);
}

static rc_t submit_one(ticker_t *t, arena_t *a, stmt_t s, int want, err_t *e)
{
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c, s, want);
  return db_submit(t->o.db, c, e);
}

/* No draw and no lease reaches further than this: beyond it, the clock was set back since. */
static us_t next_far(const loop_t *l, us_t now) { return us_add_s(now, l->interval_s + l->interval_s / 5 + TICK_S); }
static us_t lease_far(us_t now) { return us_add_s(now, 2 * LOOP_LEASE_S); }

static bool is_due(const loop_t *l, const due_t *d, us_t now)
{
  bool waits = us_cmp(d->next, now) > 0 && us_cmp(d->next, next_far(l, now)) <= 0;
  bool held = !us_is_never(d->lease_until) && us_cmp(d->lease_until, now) > 0 &&
              us_cmp(d->lease_until, lease_far(now)) <= 0;
  return !waits && !held;
}

static void run_claimed(ticker_t *t, arena_t *a, const loop_t *l, const due_t *d, us_t now)
{
  err_t e = {0};
  slice_t holder = slice_str(t->holder);
  stmt_t claim = SQL(a, loop_claim, .name = d->name, .holder = holder, .attempt = d->attempt, .at = now,
                     .until = us_add_s(now, LOOP_LEASE_S), .next = {now.us + ticker_draw_us(l->interval_s, t->o.rng)},
                     .next_far = next_far(l, now), .lease_far = lease_far(now));
  if (!rc_ok(submit_one(t, a, claim, 1, &e))) return; /* another server has it */
  rc_t ran = l->run(t->o.ctx);
  if (!rc_ok(ran))
    log_line(LOG_ERROR, "loop failed", log_c("loop", l->name), log_c("error", rc_name(ran)),
             log_i("interval_s", l->interval_s));
  stmt_t release = SQL(a, loop_release, .name = d->name, .holder = holder, .attempt = d->attempt + 1);
  if (!rc_ok(submit_one(t, a, release, CMD_ANY_ROWS, &e))) log_err(LOG_WARN, "loop lease not released", &e);
}

static void tick(ticker_t *t, arena_t *a)
{
  due_t rows[LOOPS_MAX];
  size_t n = 0;
  err_t e = {0};
  us_t now = time_wall(t->o.time);
  if (!rc_ok(rows_read(t, a, rows, &n, &e))) {
    log_err(LOG_WARN, "loops not read", &e);
    return;
  }
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < t->o.nloops; k++)
      if (slice_is(rows[i].name, t->o.loops[k].name) && is_due(&t->o.loops[k], &rows[i], now))
        run_claimed(t, a, &t->o.loops[k], &rows[i], now);
}

/* Sleeps to the next second; false once the ticker is to stop. */
static bool wait_tick(ticker_t *t)
{
  struct timespec until;
  int64_t at = time_mono_us(&timesrc_system) + TICK_S * US_PER_S;
  until = (struct timespec){.tv_sec = at / US_PER_S, .tv_nsec = at % US_PER_S * 1000};
  pthread_mutex_lock(&t->lock);
  int r = 0;
  while (!t->stopping && r != ETIMEDOUT) r = pthread_cond_timedwait(&t->wake, &t->lock, &until);
  bool go = !t->stopping;
  pthread_mutex_unlock(&t->lock);
  return go;
}

static void *ticker_main(void *self)
{
  ticker_t *t = self;
  ARENA_SCOPED arena_t *a = arena_new(TICKER_ARENA);
  if (!a) {
    log_line(LOG_ERROR, "ticker has no memory; background loops do not run");
    return NULL;
  }
  do {
    tick(t, a);
    arena_reset(a);
  } while (wait_tick(t));
  return NULL;
}

/* Loops that run at start are due now; others after one interval. */
static rc_t rows_put(ticker_t *t, arena_t *a, err_t *e)
{
  us_t now = time_wall(t->o.time);
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  for (size_t i = 0; i < t->o.nloops; i++) {
    const loop_t *l = &t->o.loops[i];
    us_t first = l->at_start ? now : (us_t){now.us + ticker_draw_us(l->interval_s, t->o.rng)};
    cmd_add(c, SQL(a, loop_put, .name = slice_str(l->name), .at = first), CMD_ANY_ROWS);
    if (l->at_start) cmd_add(c, SQL(a, loop_due_now, .name = slice_str(l->name), .at = now), CMD_ANY_ROWS);
  }
  return db_submit(t->o.db, c, e);
}

rc_t ticker_start(const ticker_options_t *o, ticker_t **ret, err_t *e)
{
  ARENA_SCOPED arena_t *a = arena_new(TICKER_ARENA);
  ticker_t *t = mem_alloc(sizeof *t);
  if (!t || !a) {
    mem_free(t);
    return rc(RC_NOMEM);
  }
  t->o = *o;
  uuid_new(o->rng, t->holder);
  rc_t r = rows_put(t, a, e);
  if (!rc_ok(r)) {
    mem_free(t);
    return r;
  }
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_mutex_init(&t->lock, NULL);
  pthread_cond_init(&t->wake, &attr);
  pthread_condattr_destroy(&attr);
  if (pthread_create(&t->thread, NULL, ticker_main, t) != 0) {
    mem_free(t);
    return err_set(e, RC_IO, "thread", NULL, "cannot start the ticker's thread");
  }
  *ret = t;
  return rc(RC_OK);
}

void ticker_stop(ticker_t *t)
{
  if (!t) return;
  pthread_mutex_lock(&t->lock);
  t->stopping = true;
  pthread_cond_signal(&t->wake);
  pthread_mutex_unlock(&t->lock);
  pthread_join(t->thread, NULL);
  pthread_mutex_destroy(&t->lock);
  pthread_cond_destroy(&t->wake);
  mem_free(t);
}

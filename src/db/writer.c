/*
 * The writer: takes what waits, runs it in one transaction, answers each. A
 * batch is as deep as the number of waiting producers; it never waits to fill.
 */
#include "db/db_int.h"

#include "base/mem.h"

#include <time.h>

enum {
  BATCH_MAX = 256,
  QUEUE_MAX = 4096,           /* commands waiting; more workers than that do not exist */
  WRITER_STACK = 512 * 1024,
  TRIM_US = 4 * 1000000       /* between looks at surplus read connections */
};

typedef struct batch {
  db_t *db;
  cmd_t *cmds[BATCH_MAX];
  size_t n;
  uint64_t bits;          /* tables that the transaction bumped */
  bool bumped, countable;
} batch_t;

/* --- submitting --- */

static bool queue_put(queue_t *q, cmd_t *c)
{
  (void)pthread_mutex_lock(&q->lock);
  bool ok = q->n < QUEUE_MAX && !q->closing;
  if (ok) {
    c->next = NULL;
    *q->tail = c;
    q->tail = &c->next;
    if (q->n++ == 0) (void)pthread_cond_signal(&q->filled);
  }
  (void)pthread_mutex_unlock(&q->lock);
  return ok;
}

static rc_t refuse(const db_t *db, cmd_t *c, err_t *e)
{
  if (db->read_only) return err_set(e, RC_DENIED, "read_only", NULL, "the store is open for reading only");
  if (!c) return err_set(e, RC_NOMEM, "memory", NULL, "not enough memory for the command");
  if (c->submitted) return err_set(e, RC_INTERNAL, "submitted", NULL, "the command has run already");
  if (db_reads_held() && db_broken("a command is submitted while a read is held"))
    return err_set(e, RC_INTERNAL, "held_read", NULL, "a command is submitted while a read is held");
  if (!rc_ok(c->sticky)) return err_set(e, c->sticky.code, "command", NULL, "the command could not be built");
  if (c->nitems == 0) return err_set(e, RC_INTERNAL, "empty", NULL, "the command is empty");
  return rc(RC_OK);
}

rc_t db_submit(db_t *db, cmd_t *c, err_t *e)
{
  TRY(refuse(db, c, e));
  c->submitted = true;
  c->err = (err_t){0};
  if (sem_init(&c->done, 0, 0) != 0) return err_set(e, RC_INTERNAL, "semaphore", NULL, "no semaphore");
  if (!queue_put(&db->queue, c)) {
    (void)sem_destroy(&c->done);
    c->submitted = false;
    rc_t r = err_set(e, RC_AGAIN, "queue_full", NULL, "too many changes are waiting");
    if (e) e->retry = true;
    return r;
  }
  while (sem_wait(&c->done) != 0) continue; /* a signal handler ran */
  (void)sem_destroy(&c->done);
  if (e && !rc_ok(c->result)) *e = c->err;
  return c->result;
}

void db_on_wake(db_t *db, void (*fn)(void *self, char kind, slice_t id), void *self)
{
  db->wake = fn;
  db->wake_self = self;
}

/* --- the writer's thread --- */

static struct timespec at(int64_t mono_us)
{
  return (struct timespec){.tv_sec = mono_us / US_PER_S, .tv_nsec = mono_us % US_PER_S * 1000};
}

/* Fills b up with what waits; with nothing at all, waits for it until `until_us`. False when closing and empty. */
static bool queue_take(queue_t *q, batch_t *b, int64_t until_us)
{
  struct timespec until = at(until_us);
  int late = 0;
  (void)pthread_mutex_lock(&q->lock);
  while (!q->head && !q->closing && b->n == 0 && !late) late = pthread_cond_timedwait(&q->filled, &q->lock, &until);
  while (q->head && b->n < BATCH_MAX) {
    cmd_t *c = q->head;
    q->head = c->next;
    q->n--;
    b->cmds[b->n++] = c;
  }
  if (!q->head) q->tail = &q->head;
  bool more = b->n > 0 || !q->closing;
  (void)pthread_mutex_unlock(&q->lock);
  return more;
}

static rc_t bump_all(void *self, size_t ran, err_t *e)
{
  batch_t *b = self;
  uint64_t bits = 0;
  for (size_t i = 0; i < ran; i++)
    if (rc_ok(b->cmds[i]->result)) bits |= stamp_bits(b->db, b->cmds[i]);
  b->bits = bits;
  b->bumped = true;
  b->countable = stamp_countable(b->db);
  return stamp_bump(b->db, bits, e);
}

static void wake_all(const db_t *db, const cmd_t *c)
{
  if (!db->wake || !rc_ok(c->result)) return;
  for (const cmd_wake_t *w = c->wakes; w; w = w->next) db->wake(db->wake_self, w->kind, w->id);
}

/*
 * The semaphore goes last and once: its owner may free the command as soon as it
 * has it. Whoever fails with its own batch mates learns why it was.
 */
static void answer(batch_t *b, size_t ran, rc_t batch, const err_t *e)
{
  db_t *db = b->db;
  for (size_t i = 0; i < ran; i++) {
    cmd_t *c = b->cmds[i];
    if (!rc_ok(batch)) {
      c->result = batch;
      c->err = *e;
    }
    if (rc_is(c->result, RC_CONFLICT)) db->conflicts++;
    wake_all(db, c);
    (void)sem_post(&c->done);
  }
  b->n -= ran;
  memmove(b->cmds, b->cmds + ran, b->n * sizeof b->cmds[0]);
}

static void run_batch(batch_t *b)
{
  db_t *db = b->db;
  err_t e = {0};
  size_t ran = 0;
  db->in_batch = b->n;
  b->bumped = false;
  rc_t r = db->driver->batch(db->writer, b->cmds, b->n, &ran, bump_all, b, &e);
  db->in_batch = 0;
  db->commands += ran;
  if (b->bumped) stamp_committed(db, rc_ok(r) ? b->bits : 0, b->countable);
  if (rc_ok(r)) db->commits++;
  else if (rc_is(r, RC_IO)) db->io_errors++;
  if (ran > db->batch_max) db->batch_max = ran;
  answer(b, ran, r, &e);
}

static void *writer_main(void *arg)
{
  db_t *db = arg;
  batch_t b = {.db = db};
  int64_t trim_us = time_mono_us(&timesrc_system) + TRIM_US;
  while (queue_take(&db->queue, &b, trim_us)) {
    if (b.n) run_batch(&b);
    if (time_mono_us(&timesrc_system) < trim_us) continue;
    pool_trim(db);
    stamp_learn(db);
    trim_us = time_mono_us(&timesrc_system) + TRIM_US;
  }
  return NULL;
}

rc_t writer_start(db_t *db, err_t *e)
{
  pthread_attr_t attr;
  pthread_condattr_t clock;
  queue_t *q = &db->queue;
  q->tail = &q->head;
  (void)pthread_mutex_init(&q->lock, NULL);
  (void)pthread_condattr_init(&clock);
  (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  (void)pthread_cond_init(&q->filled, &clock);
  (void)pthread_condattr_destroy(&clock);
  (void)pthread_attr_init(&attr);
  (void)pthread_attr_setstacksize(&attr, WRITER_STACK);
  int failed = pthread_create(&db->thread, &attr, writer_main, db);
  (void)pthread_attr_destroy(&attr);
  if (failed) return err_set(e, RC_IO, "thread", NULL, "the writer thread cannot be started");
  db->running = true;
  return rc(RC_OK);
}

void writer_stop(db_t *db)
{
  queue_t *q = &db->queue;
  if (!db->running) return;
  (void)pthread_mutex_lock(&q->lock);
  q->closing = true;
  (void)pthread_cond_signal(&q->filled);
  (void)pthread_mutex_unlock(&q->lock);
  (void)pthread_join(db->thread, NULL);
  db->running = false;
  (void)pthread_cond_destroy(&q->filled);
  (void)pthread_mutex_destroy(&q->lock);
}

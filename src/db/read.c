/*
 * The pool of read connections and the queries on them.
 */
#include "db/db_int.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <time.h>

enum {
  READ_WAIT_S = 2,      /* spec/scale.md 1.7 */
  READ_STMTS = 64,      /* prepared statements a reader keeps; each takes 3 to 10 KiB */
  IDLE_US = 5 * 1000000 /* with TRIM_US of the writer: surplus closes within 10 s of falling free (spec/scale.md 1.2) */
};

/* Reads that this thread holds: whoever holds one must not wait for the writer. */
static _Thread_local unsigned held;

unsigned db_reads_held(void) { return held; }

rc_t pool_init(pool_t *p, size_t max)
{
  pthread_condattr_t attr;
  p->max = max;
  p->keep = max / 5 ? max / 5 : 1;
  p->idle = mem_alloc(max * sizeof(db_read_t *));
  if (!p->idle) return rc(RC_NOMEM);
  (void)pthread_mutex_init(&p->lock, NULL);
  (void)pthread_condattr_init(&attr);
  (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  (void)pthread_cond_init(&p->freed, &attr);
  (void)pthread_condattr_destroy(&attr);
  return rc(RC_OK);
}

static void reader_free(db_read_t *r)
{
  r->db->driver->close(r->conn);
  mem_free(r);
}

void pool_fini(db_t *db)
{
  pool_t *p = &db->pool;
  if (!p->idle) return;
  while (p->nidle) {
    reader_free(p->idle[--p->nidle]);
    p->open--;
  }
  CHECK(p->open == 0);
  mem_free(p->idle);
  (void)pthread_cond_destroy(&p->freed);
  (void)pthread_mutex_destroy(&p->lock);
}

/* None is idle and no further one may be opened. Locked. */
static bool exhausted(const pool_t *p) { return p->nidle == 0 && p->open >= p->max; }

/* Takes an idle connection, or the right to open one (*ret NULL); false after two seconds. */
static bool pool_take(pool_t *p, db_read_t **ret)
{
  struct timespec until;
  bool late = false;
  (void)pthread_mutex_lock(&p->lock);
  if (exhausted(p)) {
    p->waits++;
    p->waiting++;
    int64_t us = time_mono_us(&timesrc_system) + READ_WAIT_S * US_PER_S;
    until = (struct timespec){.tv_sec = us / US_PER_S, .tv_nsec = us % US_PER_S * 1000};
    while (exhausted(p) && !late)
      late = pthread_cond_timedwait(&p->freed, &p->lock, &until) == ETIMEDOUT;
    p->waiting--;
  }
  late = exhausted(p);
  if (late) p->timeouts++;
  else if (p->nidle) *ret = p->idle[--p->nidle];
  else {
    *ret = NULL;
    p->open++;
  }
  (void)pthread_mutex_unlock(&p->lock);
  return !late;
}

static void pool_closed_one(pool_t *p)
{
  (void)pthread_mutex_lock(&p->lock);
  p->open--;
  (void)pthread_cond_signal(&p->freed);
  (void)pthread_mutex_unlock(&p->lock);
}

static void pool_give(pool_t *p, db_read_t *r, int64_t now_us)
{
  r->idle_since_us = now_us;
  (void)pthread_mutex_lock(&p->lock);
  p->idle[p->nidle++] = r;
  (void)pthread_cond_signal(&p->freed);
  (void)pthread_mutex_unlock(&p->lock);
}

void pool_trim(db_t *db)
{
  pool_t *p = &db->pool;
  for (;;) {
    db_read_t *surplus = NULL;
    (void)pthread_mutex_lock(&p->lock);
    if (p->nidle > p->keep && time_mono_us(db->time) - p->idle[0]->idle_since_us >= IDLE_US) {
      surplus = p->idle[0];
      p->nidle--;
      p->open--;
      memmove(p->idle, p->idle + 1, p->nidle * sizeof(db_read_t *));
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (!surplus) return;
    reader_free(surplus);
  }
}

static rc_t reader_new(db_t *db, db_read_t **ret, err_t *e)
{
  db_read_t *r = mem_alloc(sizeof *r);
  if (!r) return err_set(e, RC_NOMEM, "memory", NULL, "not enough memory for a connection");
  r->db = db;
  rc_t res = db->driver->open(&(conn_options_t){.path = db->path,
                                                .mode = db->read_only ? CONN_CHECK : CONN_READER,
                                                .time = db->time,
                                                .stmts_max = READ_STMTS},
                              &r->conn, e);
  if (!rc_ok(res)) {
    mem_free(r);
    return res;
  }
  *ret = r;
  return rc(RC_OK);
}

rc_t db_read_begin(db_t *db, db_read_t **ret, err_t *e)
{
  db_read_t *r = NULL;
  if (!pool_take(&db->pool, &r)) {
    rc_t res = err_set(e, RC_AGAIN, "pool_exhausted", NULL, "database pool exhausted");
    if (e) e->retry = true;
    return res;
  }
  rc_t res = r ? rc(RC_OK) : reader_new(db, &r, e);
  if (!r) {
    pool_closed_one(&db->pool);
    return res;
  }
  res = db->driver->begin(r->conn, false, e);
  if (!rc_ok(res)) {
    reader_free(r);
    pool_closed_one(&db->pool);
    return res;
  }
  r->row = r->complained = r->versioned = false;
  r->statements = r->rows = r->statements_max = r->rows_max = 0;
  held++;
  *ret = r;
  return rc(RC_OK);
}

void db_read_end(db_read_t *r)
{
  if (!r) return;
  db_t *db = r->db;
  held--;
  db->driver->finish(r->conn);
  if (!rc_ok(db->driver->commit(r->conn, NULL))) { /* a connection that cannot end its snapshot is not used again */
    db->driver->rollback(r->conn);
    reader_free(r);
    pool_closed_one(&db->pool);
    return;
  }
  pool_give(&db->pool, r, time_mono_us(db->time));
}

void db_read_end_ptr(db_read_t **r)
{
  db_read_end(*r);
  *r = NULL;
}

void db_read_limits(db_read_t *r, uint32_t statements_max, uint32_t rows_max)
{
  r->statements_max = statements_max;
  r->rows_max = rows_max;
  r->statements = r->rows = 0;
  r->complained = false;
}

static void over_limit(db_read_t *r, const char *what)
{
  if (!r->complained) r->complained = db_broken(what);
}

rc_t db_query(db_read_t *r, stmt_t s, err_t *e)
{
  r->row = false;
  r->statements++;
  if (r->statements_max && r->statements > r->statements_max) over_limit(r, "a request runs more statements than its route allows");
  return r->db->driver->query(r->conn, s, e);
}

rc_t db_next(db_read_t *r, err_t *e)
{
  rc_t res = r->db->driver->next(r->conn, e);
  r->row = rc_ok(res);
  if (!r->row) return res;
  r->rows++;
  if (r->rows_max && r->rows > r->rows_max) over_limit(r, "a request reads more rows than its route allows");
  return res;
}

rc_t db_one(db_read_t *r, stmt_t s, err_t *e)
{
  TRY(db_query(r, s, e));
  return db_next(r, e);
}

bool db_col_null(db_read_t *r, int col)
{
  CHECK(r->row);
  return r->db->driver->col_null(r->conn, col);
}

int64_t db_col_int(db_read_t *r, int col)
{
  CHECK(r->row);
  return r->db->driver->col_int(r->conn, col);
}

bool db_col_bool(db_read_t *r, int col) { return db_col_int(r, col) != 0; }

us_t db_col_time(db_read_t *r, int col) { return db_col_null(r, col) ? US_NEVER : (us_t){db_col_int(r, col)}; }

slice_t db_col_text(db_read_t *r, int col)
{
  CHECK(r->row);
  return r->db->driver->col_text(r->conn, col);
}

rc_t db_col_text_dup(db_read_t *r, int col, arena_t *a, slice_t *ret)
{
  slice_t s = db_col_text(r, col);
  if (s.p) {
    s = arena_dup(a, s);
    if (!s.p) return rc(RC_NOMEM);
  }
  *ret = s;
  return rc(RC_OK);
}

rc_t db_col_blob_dup(db_read_t *r, int col, arena_t *a, slice_t *ret) { return db_col_text_dup(r, col, a, ret); }

rc_t db_col_texts_dup(db_read_t *r, int col, arena_t *a, texts_t *ret)
{
  CHECK(r->row);
  return r->db->driver->col_texts(r->conn, col, a, ret);
}

#include "db/db.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "db/db_int.h"
#include "db/memo.h"
#include "db/migrate.h"

enum { WRITER_STMTS = 256 };

#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
#define DB_STRICT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DB_STRICT 1
#endif
#endif

bool db_broken(const char *what)
{
#ifdef DB_STRICT
  check_failed("db", 0, what);
#else
  log_line(LOG_ERROR, "storage rule broken", log_c("rule", what));
  return true;
#endif
}

static rc_t path_of(slice_t url, char **ret, err_t *e)
{
  if (!slice_starts(url, S("sqlite:")) || url.n == 7) {
    rc_t r = err_set(e, RC_INVALID, "url", "CERTCTL_DATABASE_URL", "must be sqlite:/path/file.db");
    err_value(e, url.p, url.n < 9 ? url.n : 9); /* no more: a URL of a server holds a password */
    return r;
  }
  slice_t path = slice_sub(url, 7, url.n);
  if (slice_find(path, 0) != path.n) return err_set(e, RC_INVALID, "url", "CERTCTL_DATABASE_URL", "has a zero byte");
  *ret = mem_dup_text(path.p, path.n);
  return *ret ? rc(RC_OK) : err_set(e, RC_NOMEM, "memory", NULL, "not enough memory");
}

static rc_t open_writing(db_t *db, bool demo_seed, err_t *e)
{
  TRY(db->driver->open(&(conn_options_t){.path = db->path, .mode = CONN_WRITER, .time = db->time, .stmts_max = WRITER_STMTS},
                       &db->writer, e));
  TRY(migrate_run(db->driver, db->writer, demo_seed, e));
  TRY(stamp_init(db, e));
  return writer_start(db, e);
}

static rc_t open_checking(db_t *db, err_t *e)
{
  conn_t *c = NULL;
  TRY(db->driver->open(&(conn_options_t){.path = db->path, .mode = CONN_CHECK, .time = db->time, .stmts_max = 4}, &c, e));
  rc_t r = migrate_check(db->driver, c, e);
  db->driver->close(c);
  return r;
}

rc_t db_open(const db_options_t *o, db_t **ret, err_t *e)
{
  db_t *db = mem_alloc(sizeof *db);
  if (!db) return err_set(e, RC_NOMEM, "memory", NULL, "not enough memory");
  db->driver = &driver_sqlite;
  (void)pthread_mutex_init(&db->known.lock, NULL);
  db->time = o->time;
  db->read_only = o->read_only;
  rng_fill(&rng_system, &db->epoch, sizeof db->epoch);
  rc_t r = path_of(o->url, &db->path, e);
  if (rc_ok(r)) r = memo_new(&db->memo);
  if (rc_ok(r)) r = pool_init(&db->pool, o->max_conns > 1 ? o->max_conns - 1 : 1);
  if (rc_ok(r)) r = o->read_only ? open_checking(db, e) : open_writing(db, o->demo_seed, e);
  if (!rc_ok(r)) {
    /* The path says more than the engine's words, which the text has already. */
    if (rc_is(r, RC_IO) && e && db->path) err_value(e, db->path, strlen(db->path));
    db_close(db);
    return r;
  }
  *ret = db;
  return rc(RC_OK);
}

void db_close(db_t *db)
{
  if (!db) return;
  writer_stop(db);
  pool_fini(db);
  if (db->writer) db->driver->close(db->writer);
  memo_free(db->memo);
  (void)pthread_mutex_destroy(&db->known.lock);
  for (size_t i = 0; i < db->ntables; i++) mem_free(db->tables[i]);
  mem_free(db->path);
  mem_free(db);
}

void db_stats(db_t *db, db_stats_t *ret)
{
  pool_t *p = &db->pool;
  *ret = (db_stats_t){.commits = db->commits, .commands = db->commands, .conflicts = db->conflicts,
                      .io_errors = db->io_errors, .batch_max = db->batch_max, .running = db->in_batch};
  uint64_t writer = db->writer != NULL;
  (void)pthread_mutex_lock(&p->lock);
  ret->conns_max = p->max + writer;
  ret->conns_open = p->open + writer;
  ret->conns_idle = p->nidle;
  ret->conns_in_use = p->open - p->nidle + writer;
  ret->waits = p->waits;
  ret->timeouts = p->timeouts;
  (void)pthread_mutex_unlock(&p->lock);
  if (!db->running) return;
  (void)pthread_mutex_lock(&db->queue.lock);
  ret->queued = db->queue.n;
  (void)pthread_mutex_unlock(&db->queue.lock);
}

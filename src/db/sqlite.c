/*
 * SQLite driver: connections, errors, statements, columns. WAL with
 * synchronous=FULL, because an answered command must survive a power cut.
 */
#include "db/sqlite_int.h"

#include "base/limits.h"
#include "base/mem.h"
#include "db/intern.h"
#include "db/texts.h"

#include <pthread.h>

enum { BUSY_MS = 5000 }; /* a foreign writer may hold the file for so long before a batch is refused */

/* --- errors --- */

typedef struct code_row {
  int code; /* extended first, primary after */
  int32_t rc;
  const char *reason, *text;
} code_row_t;

static const code_row_t codes[] = {
  {SQLITE_CONSTRAINT_UNIQUE, RC_CONFLICT, "unique", "exists already"},
  {SQLITE_CONSTRAINT_PRIMARYKEY, RC_CONFLICT, "unique", "exists already"},
  {SQLITE_CONSTRAINT_ROWID, RC_CONFLICT, "unique", "exists already"},
  {SQLITE_CONSTRAINT_FOREIGNKEY, RC_CONFLICT, "foreign_key", "refers to something that does not exist, or is referred to"},
  {SQLITE_CONSTRAINT_NOTNULL, RC_CONFLICT, "not_null", "must have a value"},
  {SQLITE_CONSTRAINT_TRIGGER, RC_CONFLICT, "append_only", "cannot be changed"},
  {SQLITE_CONSTRAINT, RC_CONFLICT, "check", "is not allowed"},
  {SQLITE_NOMEM, RC_NOMEM, "memory", "not enough memory"},
  {SQLITE_FULL, RC_IO, "disk_full", "the disk that holds the store is full"},
  {SQLITE_IOERR, RC_IO, "io", "the store cannot be read or written"},
  {SQLITE_CORRUPT, RC_IO, "corrupt", "the store is damaged"},
  {SQLITE_NOTADB, RC_IO, "corrupt", "the file is not a store"},
  {SQLITE_CANTOPEN, RC_IO, "io", "the store cannot be opened"},
  {SQLITE_READONLY, RC_IO, "read_only", "the store cannot be written"},
  {SQLITE_PERM, RC_IO, "read_only", "the store cannot be accessed"},
  {SQLITE_BUSY, RC_AGAIN, "busy", "another process is writing to the store"},
  {SQLITE_LOCKED, RC_AGAIN, "busy", "another process is writing to the store"},
  {SQLITE_TOOBIG, RC_FULL, "too_big", "a value is too large for the store"},
};

static const code_row_t *code_find(int code)
{
  static const code_row_t other = {0, RC_INTERNAL, "sql", "a statement failed"};
  for (size_t i = 0; i < COUNT_OF(codes); i++)
    if (codes[i].code == code || codes[i].code == (code & 0xff)) return &codes[i];
  return &other;
}

/* "UNIQUE constraint failed: teams.name" names what follows the colon. */
static const char *constraint_name(slice_t msg, const char *table)
{
  size_t at = slice_find(msg, ':');
  if (at == msg.n) return table;
  slice_t name = slice_trim(slice_sub(msg, at + 1, msg.n));
  if (slice_starts(name, S("index '")) && slice_ends(name, S("'"))) name = slice_sub(name, 7, name.n - 8);
  return intern_name(name);
}

rc_t sqlite_fail(conn_t *c, int code, const char *table, err_t *e)
{
  int full = c->s ? sqlite3_extended_errcode(c->s) : code;
  if ((full & 0xff) != (code & 0xff)) full = code;
  const code_row_t *row = code_find(full);
  slice_t msg = slice_str(c->s ? sqlite3_errmsg(c->s) : sqlite3_errstr(code));
  const char *field = row->rc == RC_CONFLICT ? constraint_name(msg, table) : NULL;
  rc_t r = err_set(e, row->rc, row->reason, field, row->text);
  err_value(e, msg.p, msg.n);
  if (e) e->retry = row->rc == RC_AGAIN || row->rc == RC_IO;
  return r;
}

/* --- connections --- */

/* {now}: the clock that the store was opened with, fixed for a statement. */
static void fn_now(sqlite3_context *x, int argc, sqlite3_value **argv)
{
  (void)argc;
  (void)argv;
  const conn_t *c = sqlite3_user_data(x);
  sqlite3_result_int64(x, c->now.us);
}

static const char pragmas_any[] =
  "pragma foreign_keys = on; pragma temp_store = memory; pragma mmap_size = 0; pragma trusted_schema = off;";

static const char pragmas_writer[] =
  "pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = 67108864; pragma cache_size = -8192;";
static const char pragmas_reader[] = "pragma query_only = on; pragma cache_size = -1024;";

enum {
  WAL_PAGES = 4000,      /* 16 MiB: hot index pages are copied back once for many commits */
  WAL_PAGES_MANY = 32000, /* readers that overlap without a gap keep the log from starting anew: wait for one */
  WAL_WAIT_MS = 200
};

/* After each commit of the writer. A checkpoint that fails is made up for by the next one. */
static int on_wal(void *arg, sqlite3 *s, const char *name, int pages)
{
  (void)arg;
  if (pages >= WAL_PAGES_MANY) {
    (void)sqlite3_busy_timeout(s, WAL_WAIT_MS);
    (void)sqlite3_wal_checkpoint_v2(s, name, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    (void)sqlite3_busy_timeout(s, BUSY_MS);
  } else if (pages >= WAL_PAGES) {
    (void)sqlite3_wal_checkpoint_v2(s, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  }
  return SQLITE_OK;
}

static void limits_set(sqlite3 *s)
{
  (void)sqlite3_limit(s, SQLITE_LIMIT_LENGTH, LIM_DB_VALUE);
  (void)sqlite3_limit(s, SQLITE_LIMIT_ATTACHED, 0);
  (void)sqlite3_db_config(s, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  (void)sqlite3_db_config(s, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
}

static rc_t sqlite_script(conn_t *c, const char *sql, err_t *e)
{
  c->now = time_wall(c->time);
  int code = sqlite3_exec(c->s, sql, NULL, NULL, NULL);
  return code == SQLITE_OK ? rc(RC_OK) : sqlite_fail(c, code, NULL, e);
}

static void sqlite_close(conn_t *c)
{
  if (!c) return;
  if (c->cur) sqlite_done(c->cur, c->cur_passing);
  sqlite_cache_clear(c);
  (void)sqlite3_close(c->s);
  mem_free(c->cache);
  mem_free(c);
}

static rc_t setup(conn_t *c, err_t *e)
{
  int on = 1;
  (void)sqlite3_extended_result_codes(c->s, 1);
  (void)sqlite3_busy_timeout(c->s, BUSY_MS);
  limits_set(c->s);
  int code = sqlite3_create_function_v2(c->s, "db_now", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, c, fn_now, NULL, NULL, NULL);
  if (code != SQLITE_OK) return sqlite_fail(c, code, NULL, e);
  TRY(sqlite_script(c, pragmas_any, e));
  TRY(sqlite_script(c, c->mode == CONN_WRITER ? pragmas_writer : pragmas_reader, e));
  if (c->mode == CONN_WRITER) (void)sqlite3_wal_hook(c->s, on_wal, NULL);
  /* The log stays when the last connection closes: a sandboxed process may not make files again. */
  (void)sqlite3_file_control(c->s, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
  return rc(RC_OK);
}

/* No global memory figures: their lock is taken at each allocation. Refused, harmlessly, once SQLite runs. */
static void configure(void) { (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

static rc_t sqlite_open(const conn_options_t *o, conn_t **ret, err_t *e)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, configure);
  conn_t *c = mem_alloc(sizeof *c);
  if (!c) return err_set(e, RC_NOMEM, "memory", NULL, "not enough memory for a connection");
  c->sets = o->stmts_max / CACHE_WAYS;
  if (c->sets == 0) c->sets = 1;
  c->mode = o->mode;
  c->time = o->time;
  c->cache = mem_alloc(c->sets * CACHE_WAYS * sizeof *c->cache);
  if (!c->cache) {
    sqlite_close(c);
    return err_set(e, RC_NOMEM, "memory", NULL, "not enough memory for a connection");
  }
  int flags = SQLITE_OPEN_NOMUTEX;
  if (o->mode == CONN_WRITER) flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  else flags |= o->mode == CONN_READER ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  int code = sqlite3_open_v2(o->path, &c->s, flags, NULL);
  rc_t r = code == SQLITE_OK ? setup(c, e) : sqlite_fail(c, code, NULL, e);
  if (!rc_ok(r)) {
    sqlite_close(c);
    return r;
  }
  *ret = c;
  return rc(RC_OK);
}

/* --- transactions --- */

static const sql_text_t text_begin = {.name = "begin", .text = {"begin", "begin"}};
static const sql_text_t text_begin_write = {.name = "begin_write", .text = {"begin immediate", "begin"}};
static const sql_text_t text_commit = {.name = "commit", .text = {"commit", "commit"}};
static const sql_text_t text_rollback = {.name = "rollback", .text = {"rollback", "rollback"}};

rc_t sqlite_begin(conn_t *c, bool write, err_t *e)
{
  int64_t rows;
  return sqlite_exec(c, (stmt_t){write ? &text_begin_write : &text_begin, NULL, 0}, &rows, e);
}

rc_t sqlite_commit(conn_t *c, err_t *e)
{
  int64_t rows;
  return sqlite_exec(c, (stmt_t){&text_commit, NULL, 0}, &rows, e);
}

/* A failed rollback leaves nothing to roll back: SQLite has done it already. */
void sqlite_rollback(conn_t *c)
{
  int64_t rows;
  if (sqlite3_get_autocommit(c->s)) return;
  if (rc_ok(sqlite_exec(c, (stmt_t){&text_rollback, NULL, 0}, &rows, NULL))) return;
}

/* --- statements --- */

rc_t sqlite_exec(conn_t *c, stmt_t s, int64_t *ret_rows, err_t *e)
{
  sqlite3_stmt *st = NULL;
  bool passing = false;
  int64_t yielded = 0;
  TRY(sqlite_bound(c, s, &st, &passing, e));
  int code;
  while ((code = sqlite3_step(st)) == SQLITE_ROW) yielded++;
  rc_t r = rc(RC_OK);
  if (code == SQLITE_DONE) *ret_rows = s.sql->table ? sqlite3_changes64(c->s) : yielded;
  else r = sqlite_fail(c, code, s.sql->table, e);
  sqlite_done(st, passing);
  return r;
}

static void sqlite_finish(conn_t *c)
{
  if (!c->cur) return;
  sqlite_done(c->cur, c->cur_passing);
  c->cur = NULL;
}

static rc_t sqlite_query(conn_t *c, stmt_t s, err_t *e)
{
  sqlite_finish(c);
  return sqlite_bound(c, s, &c->cur, &c->cur_passing, e);
}

static rc_t sqlite_next(conn_t *c, err_t *e)
{
  if (!c->cur) return rc(RC_NOTFOUND);
  int code = sqlite3_step(c->cur);
  if (code == SQLITE_ROW) return rc(RC_OK);
  rc_t r = code == SQLITE_DONE ? rc(RC_NOTFOUND) : sqlite_fail(c, code, NULL, e);
  sqlite_finish(c);
  return r;
}

/* A pragma that opens the snapshot and reads no page: the connection's count of commits that were not its own. */
static const sql_text_t text_version = {.name = "data_version", .text = {"pragma data_version", NULL}};

static rc_t sqlite_version(conn_t *c, uint32_t *ret, err_t *e)
{
  sqlite3_stmt *st = NULL;
  bool passing = false;
  sqlite_finish(c);
  TRY(sqlite_bound(c, (stmt_t){&text_version, NULL, 0}, &st, &passing, e));
  int code = sqlite3_step(st);
  rc_t r = rc(RC_OK);
  if (code == SQLITE_ROW) *ret = (uint32_t)sqlite3_column_int64(st, 0);
  else r = sqlite_fail(c, code, NULL, e);
  sqlite_done(st, passing);
  return r;
}

/* --- columns --- */

static bool sqlite_col_null(conn_t *c, int col) { return sqlite3_column_type(c->cur, col) == SQLITE_NULL; }

static int64_t sqlite_col_int(conn_t *c, int col) { return sqlite3_column_int64(c->cur, col); }

static slice_t sqlite_col_text(conn_t *c, int col)
{
  int type = sqlite3_column_type(c->cur, col);
  if (type == SQLITE_NULL) return (slice_t){NULL, 0};
  const void *p = type == SQLITE_BLOB ? sqlite3_column_blob(c->cur, col) : (const void *)sqlite3_column_text(c->cur, col);
  size_t n = (size_t)sqlite3_column_bytes(c->cur, col);
  return p ? slice_of(p, n) : S("");
}

static rc_t sqlite_col_texts(conn_t *c, int col, arena_t *a, texts_t *ret)
{
  slice_t s = sqlite_col_text(c, col);
  if (!s.p) {
    *ret = (texts_t){NULL, 0};
    return rc(RC_OK);
  }
  return texts_parse(s, a, ret);
}

const driver_t driver_sqlite = {
  .engine = DB_SQLITE,
  .open = sqlite_open,
  .close = sqlite_close,
  .script = sqlite_script,
  .begin = sqlite_begin,
  .commit = sqlite_commit,
  .rollback = sqlite_rollback,
  .exec = sqlite_exec,
  .batch = sqlite_batch,
  .query = sqlite_query,
  .next = sqlite_next,
  .finish = sqlite_finish,
  .version = sqlite_version,
  .watch = sqlite_watch,
  .state = sqlite_state,
  .col_null = sqlite_col_null,
  .col_int = sqlite_col_int,
  .col_text = sqlite_col_text,
  .col_texts = sqlite_col_texts,
};

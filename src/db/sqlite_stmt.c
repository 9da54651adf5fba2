/*
 * Prepared statements of one connection: a set-associative cache keyed by the
 * address of the text, and binding of values.
 */
#include "db/sqlite_int.h"
#include "db/texts.h"

#include "base/limits.h"
#include "base/mem.h"

void sqlite_cache_clear(conn_t *c)
{
  for (size_t i = 0; c->cache && i < c->sets * CACHE_WAYS; i++) {
    (void)sqlite3_finalize(c->cache[i].st);
    c->cache[i] = (cached_t){0};
  }
}

static cached_t *cache_set(conn_t *c, const char *key)
{
  uint64_t h = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);
  return c->cache + (size_t)(h >> 32) % c->sets * CACHE_WAYS;
}

/* The slot for key: the one that holds it, else a free or the longest unused one, emptied. */
static cached_t *cache_slot(conn_t *c, const char *key)
{
  cached_t *set = cache_set(c, key), *oldest = set;
  for (size_t i = 0; i < CACHE_WAYS; i++) {
    if (set[i].key == key) return &set[i];
    if (set[i].used < oldest->used) oldest = &set[i];
  }
  (void)sqlite3_finalize(oldest->st);
  *oldest = (cached_t){0};
  return oldest;
}

static rc_t prepare(conn_t *c, const sql_text_t *t, sqlite3_stmt **ret, bool *ret_passing, err_t *e)
{
  const char *text = t->text[DB_SQLITE];
  cached_t *slot = t->passing ? NULL : cache_slot(c, text);
  if (slot && slot->st) {
    slot->used = ++c->tick;
    *ret = slot->st;
    *ret_passing = false;
    return rc(RC_OK);
  }
  sqlite3_stmt *st = NULL;
  int code = sqlite3_prepare_v3(c->s, text, -1, slot ? SQLITE_PREPARE_PERSISTENT : 0, &st, NULL);
  if (code != SQLITE_OK) return sqlite_fail(c, code, t->table, e);
  if (slot) *slot = (cached_t){text, st, ++c->tick};
  *ret = st;
  *ret_passing = !slot;
  return rc(RC_OK);
}

static int bind_texts(sqlite3_stmt *st, int i, texts_t t)
{
  buf_t b = buf_heap(LIM_DB_VALUE);
  texts_emit(&b, t);
  if (!rc_ok(buf_rc(&b))) {
    buf_fini(&b);
    return SQLITE_NOMEM;
  }
  return sqlite3_bind_text64(st, i, (const char *)b.p, b.n, mem_free, SQLITE_UTF8);
}

/* Values outlive the statement's run, so SQLite needs no copy of them. */
static int bind_one(sqlite3_stmt *st, int i, const val_t *v)
{
  static const uint8_t none[1];
  const void *p = v->text.p ? v->text.p : none;
  switch (v->type) {
  case VT_NULL: return sqlite3_bind_null(st, i);
  case VT_INT:
  case VT_BOOL:
  case VT_TIME: return sqlite3_bind_int64(st, i, v->num);
  case VT_TEXT:
  case VT_JSON: return sqlite3_bind_text64(st, i, p, v->text.n, SQLITE_STATIC, SQLITE_UTF8);
  case VT_BLOB: return sqlite3_bind_blob64(st, i, p, v->text.n, SQLITE_STATIC);
  case VT_TEXTS: return bind_texts(st, i, v->texts);
  }
  return SQLITE_MISUSE;
}

rc_t sqlite_bound(conn_t *c, stmt_t s, sqlite3_stmt **ret, bool *ret_passing, err_t *e)
{
  sqlite3_stmt *st = NULL;
  bool passing = false;
  if (!s.sql || (s.nvals && !s.vals)) return err_set(e, RC_NOMEM, "memory", NULL, "not enough memory for the statement");
  if (s.nvals != s.sql->nvals) return err_set(e, RC_INTERNAL, "parameters", NULL, "a statement got another number of values");
  TRY(prepare(c, s.sql, &st, &passing, e));
  for (size_t i = 0; i < s.nvals; i++) {
    int code = bind_one(st, (int)i + 1, &s.vals[i]);
    if (code == SQLITE_OK) continue;
    rc_t r = sqlite_fail(c, code, s.sql->table, e);
    sqlite_done(st, passing);
    return r;
  }
  c->now = time_wall(c->time);
  *ret = st;
  *ret_passing = passing;
  return rc(RC_OK);
}

void sqlite_done(sqlite3_stmt *st, bool passing)
{
  (void)sqlite3_reset(st);
  if (passing) (void)sqlite3_finalize(st);
}

/*
 * Each write, sync and allocation of SQLite fails in turn, and each of our own
 * allocations: no half command, outputs untouched, the store goes on; a copy of
 * the files taken at that moment (a crash) holds what was answered and no more.
 */
#include "fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- a file layer that fails one call, or all from one on --- */

static atomic_long countdown = -1; /* changes until the failing one; below 0: off */
static atomic_bool sticky;         /* every later one fails too, as on a full disk */
static atomic_int fail_code;
static atomic_bool hit;

typedef struct shim {
  sqlite3_file base;
  sqlite3_file *real;
} shim_t;

static int verdict(void)
{
  long k = atomic_load(&countdown);
  if (k < 0) return SQLITE_OK;
  if (k > 0) {
    atomic_fetch_sub(&countdown, 1);
    return SQLITE_OK;
  }
  if (!sticky) atomic_store(&countdown, -1);
  atomic_store(&hit, true);
  return fail_code;
}

#define REAL(f) (((shim_t *)(f))->real)

static int s_close(sqlite3_file *f) { return REAL(f)->pMethods ? REAL(f)->pMethods->xClose(REAL(f)) : SQLITE_OK; }
static int s_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) { return REAL(f)->pMethods->xRead(REAL(f), p, n, at); }
static int s_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
  int code = verdict();
  return code ? code : REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}
static int s_truncate(sqlite3_file *f, sqlite3_int64 n)
{
  int code = verdict();
  return code ? SQLITE_IOERR_TRUNCATE : REAL(f)->pMethods->xTruncate(REAL(f), n);
}
static int s_sync(sqlite3_file *f, int flags)
{
  int code = verdict();
  return code ? SQLITE_IOERR_FSYNC : REAL(f)->pMethods->xSync(REAL(f), flags);
}
static int s_size(sqlite3_file *f, sqlite3_int64 *n) { return REAL(f)->pMethods->xFileSize(REAL(f), n); }
static int s_lock(sqlite3_file *f, int k) { return REAL(f)->pMethods->xLock(REAL(f), k); }
static int s_unlock(sqlite3_file *f, int k) { return REAL(f)->pMethods->xUnlock(REAL(f), k); }
static int s_reserved(sqlite3_file *f, int *k) { return REAL(f)->pMethods->xCheckReservedLock(REAL(f), k); }
static int s_control(sqlite3_file *f, int op, void *p) { return REAL(f)->pMethods->xFileControl(REAL(f), op, p); }
static int s_sector(sqlite3_file *f) { return REAL(f)->pMethods->xSectorSize(REAL(f)); }
static int s_device(sqlite3_file *f) { return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f)); }
static int s_map(sqlite3_file *f, int pg, int sz, int ext, void volatile **pp) { return REAL(f)->pMethods->xShmMap(REAL(f), pg, sz, ext, pp); }
static int s_shm(sqlite3_file *f, int off, int n, int flags) { return REAL(f)->pMethods->xShmLock(REAL(f), off, n, flags); }
static void s_barrier(sqlite3_file *f) { REAL(f)->pMethods->xShmBarrier(REAL(f)); }
static int s_unmap(sqlite3_file *f, int del) { return REAL(f)->pMethods->xShmUnmap(REAL(f), del); }

static const sqlite3_io_methods methods = {2, s_close, s_read, s_write, s_truncate, s_sync, s_size, s_lock, s_unlock, s_reserved,
                                           s_control, s_sector, s_device, s_map, s_shm, s_barrier, s_unmap, NULL, NULL};

static sqlite3_vfs *real_vfs, shim_vfs;

static int s_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
  (void)v;
  shim_t *s = (shim_t *)f;
  s->real = (sqlite3_file *)(s + 1);
  int code = real_vfs->xOpen(real_vfs, name, s->real, flags, out);
  f->pMethods = code == SQLITE_OK ? &methods : NULL;
  return code;
}

/* --- an allocator that fails one call --- */

static sqlite3_mem_methods real_mem, shim_mem;
static atomic_long mem_countdown = -1;

static bool mem_denied(void)
{
  long k = atomic_load(&mem_countdown);
  if (k < 0) return false;
  atomic_store(&mem_countdown, k - 1);
  if (k > 0) return false;
  atomic_store(&hit, true);
  return true;
}

static void *m_alloc(int n) { return mem_denied() ? NULL : real_mem.xMalloc(n); }
static void *m_realloc(void *p, int n) { return mem_denied() ? NULL : real_mem.xRealloc(p, n); }

static int group_setup(void **state)
{
  (void)state;
  assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_mem), SQLITE_OK);
  shim_mem = real_mem;
  shim_mem.xMalloc = m_alloc;
  shim_mem.xRealloc = m_realloc;
  assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &shim_mem), SQLITE_OK);
  assert_int_equal(sqlite3_initialize(), SQLITE_OK);
  real_vfs = sqlite3_vfs_find(NULL);
  shim_vfs = *real_vfs;
  shim_vfs.zName = "shim";
  shim_vfs.szOsFile = (int)sizeof(shim_t) + real_vfs->szOsFile;
  shim_vfs.xOpen = s_open;
  shim_vfs.pNext = NULL;
  return sqlite3_vfs_register(&shim_vfs, 1);
}

/* --- one command of three parts --- */

static rc_t three_parts(fix_t *f, arena_t *a, int i, err_t *e)
{
  char id[32], name[32];
  int n = snprintf(id, sizeof id, "team-%d", i);
  int m = snprintf(name, sizeof name, "name-%d", i);
  team_t t = {slice_of(id, (size_t)n), slice_of(name, (size_t)m), S("first"), {1}, {1}};
  audit_t u = {t.id, S("a"), S("User"), S("team_created"), S("team"), t.id, S("{}"), {1}, S("config")};
  cmd_t *c = cmd_new(a);
  cmd_add(c, list_insert(a, &res_team, &t), 1);
  t.description = S("second");
  cmd_add(c, list_update(a, &res_team, &t, 4), 1);
  cmd_add(c, list_insert(a, &res_audit, &u), 1);
  return db_submit(f->db, c, e);
}

/* How much of command i is stored: 0 nothing, 3 all. */
static int64_t parts(const fix_t *f, int i)
{
  char sql[256];
  (void)snprintf(sql, sizeof sql,
                 "select (select count(*) from teams where id = 'team-%d') + (select count(*) from teams where id = 'team-%d' and description = 'second')"
                 " + (select count(*) from audit_events where id = 'team-%d')", i, i, i);
  return sql_number(f, sql);
}

static void copy_file(const char *from, const char *to)
{
  char b[4096];
  int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ssize_t n;
  assert_true(in >= 0 && out >= 0);
  while ((n = read(in, b, sizeof b)) > 0) assert_int_equal(write(out, b, (size_t)n), n);
  (void)close(in);
  (void)close(out);
}

/* The number of commands that a copy of the files, opened anew, recovers. */
static int64_t after_crash(const fix_t *f)
{
  fix_t copy = *f;
  char from[128], to[128];
  static const char *const ends[] = {"t.db", "t.db-wal"};
  (void)snprintf(copy.url, sizeof copy.url, "sqlite:%s/copy.db", f->dir);
  for (size_t i = 0; i < COUNT_OF(ends); i++) {
    (void)snprintf(from, sizeof from, "%s/%s", f->dir, ends[i]);
    (void)snprintf(to, sizeof to, "%s/copy%s", f->dir, ends[i] + 1);
    copy_file(from, to);
  }
  int64_t n = sql_number(&copy, "select count(*) from audit_events");
  static const char *const made[] = {"copy.db", "copy.db-wal", "copy.db-shm"};
  for (size_t i = 0; i < COUNT_OF(made); i++) {
    (void)snprintf(to, sizeof to, "%s/%s", f->dir, made[i]);
    (void)unlink(to);
  }
  return n;
}

/* Fails change k for k = 0, 1, … until a command goes through without reaching it. */
static void fail_each_change(fix_t *f, int code, bool all_later)
{
  int64_t stored = 0;
  int i = 0, failed = 0;
  for (long k = 0;; k++, i++) {
    err_t e = {0};
    atomic_store(&hit, false);
    atomic_store(&fail_code, code);
    atomic_store(&sticky, all_later);
    atomic_store(&countdown, k);
    rc_t r = three_parts(f, f->a, i, &e);
    bool reached = atomic_load(&hit);
    atomic_store(&countdown, -1);
    if (rc_ok(r)) {
      stored++;
      assert_int_equal(parts(f, i), 3);
    } else {
      failed++;
      assert_int_equal(r.code, RC_IO);
      assert_true(e.retry);
      assert_int_equal(parts(f, i), 0);
    }
    if (!all_later) assert_int_equal(after_crash(f), stored);
    /* and the next command goes through */
    assert_true(rc_ok(three_parts(f, f->a, ++i, &e)));
    assert_int_equal(parts(f, i), 3);
    stored++;
    assert_int_equal(after_crash(f), stored);
    if (!reached) break;
  }
  assert_true(failed >= 3);
  db_stats_t st;
  db_stats(f->db, &st);
  assert_int_equal(st.io_errors, failed);
}

static void test_full_disk(void **state) { fail_each_change(*state, SQLITE_FULL, true); }
static void test_full_disk_once(void **state) { fail_each_change(*state, SQLITE_FULL, false); }
static void test_io_error(void **state) { fail_each_change(*state, SQLITE_IOERR_WRITE, false); }

/* Each allocation of SQLite fails in turn, on both sides: a write, then a list. */
static void test_sqlite_memory(void **state)
{
  fix_t *f = *state;
  int i = 0, failed = 0;
  for (long k = 0;; k += 1 + k / 16, i++) {
    err_t e = {0};
    if (i % 4 == 0) fix_reopen(f, 3); /* so that statements are prepared again */
    atomic_store(&hit, false);
    atomic_store(&mem_countdown, k);
    rc_t r = three_parts(f, f->a, i, &e);
    bool reached = atomic_load(&hit);
    atomic_store(&mem_countdown, -1);
    assert_int_equal(parts(f, i), rc_ok(r) ? 3 : 0);
    if (!rc_ok(r)) {
      failed++;
      assert_true(rc_is(r, RC_NOMEM) || rc_is(r, RC_IO));
    }
    assert_true(rc_ok(three_parts(f, f->a, ++i, &e)));
    if (!reached && i % 4 == 1) break;
  }
  assert_true(failed > 10);
}

static rc_t list_once(fix_t *f, arena_t *a, size_t *ret_n)
{
  err_t e = {0};
  db_read_t *r = NULL;
  void *rows = NULL;
  int64_t total = 0;
  size_t n = 99;
  TRY(db_read_begin(f->db, &r, &e));
  rc_t res = list_page(r, a, &(list_query_t){.res = &res_team, .sort = -1, .page = 1, .per_page = 50}, &rows, &n, &total, &e);
  db_read_end(r);
  if (!rc_ok(res)) assert_true(n == 99 && !rows && total == 0);
  else *ret_n = n;
  return res;
}

static void test_read_memory(void **state)
{
  fix_t *f = *state;
  int failed = 0;
  size_t n = 0;
  for (long k = 0;; k += 1 + k / 16) {
    fix_reopen(f, 3);
    atomic_store(&hit, false);
    atomic_store(&mem_countdown, k);
    rc_t r = list_once(f, f->a, &n);
    bool reached = atomic_load(&hit);
    atomic_store(&mem_countdown, -1);
    if (!rc_ok(r)) failed++;
    assert_true(rc_ok(list_once(f, f->a, &n)));
    assert_int_equal(n, 6);
    db_stats_t st;
    db_stats(f->db, &st);
    assert_int_equal(st.conns_in_use, 1); /* the writer alone: nothing leaked out of the pool */
    if (!reached) break;
  }
  assert_true(failed > 10);
}

/* Our own allocations, on the thread that asks. */
static void test_own_memory(void **state)
{
  fix_t *f = *state;
  int failed = 0, i = 100000;
  size_t n = 0;
  for (long k = 0; k < 200; k++, i++) {
    err_t e = {0};
    arena_t *a = arena_new(1024 * 1024);
    assert_non_null(a);
    mem_fail_after(k);
    rc_t w = three_parts(f, a, i, &e), r = list_once(f, a, &n);
    mem_fail_after(-1);
    assert_int_equal(parts(f, i), rc_ok(w) ? 3 : 0);
    if (!rc_ok(w)) assert_int_equal(w.code, RC_NOMEM);
    failed += !rc_ok(w) + !rc_ok(r);
    arena_free(a);
  }
  assert_true(failed > 0);
}

/* db_open gives everything back, whatever fails in it. */
static void test_open_memory(void **state)
{
  fix_t *f = *state;
  int failed = 0;
  for (int kind = 0; kind < 2; kind++) {
    for (long k = 0;; k += kind ? 1 + k / 16 : 1) {
      err_t e = {0};
      db_t *db = NULL;
      db_close(f->db);
      f->db = NULL;
      atomic_store(&hit, false);
      if (kind) atomic_store(&mem_countdown, k);
      else mem_fail_after(k);
      rc_t r = db_open(&(db_options_t){.url = slice_str(f->url), .max_conns = 3, .time = &timesrc_system}, &db, &e);
      atomic_store(&mem_countdown, -1);
      mem_fail_after(-1);
      if (rc_ok(r)) f->db = db;
      else {
        failed++;
        assert_null(db);
        fix_reopen(f, 3);
      }
      if (kind ? !atomic_load(&hit) : k > 60) break;
    }
  }
  assert_true(failed > 10);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fix_setup, fix_teardown)
    T(full_disk), T(full_disk_once), T(io_error), T(sqlite_memory), T(read_memory), T(own_memory), T(open_memory),
  };
  return cmocka_run_group_tests(tests, group_setup, NULL);
}

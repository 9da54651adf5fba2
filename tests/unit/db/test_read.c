/* Reads: snapshots, the pool and its limits, what must not be done, many threads at once. */
#include "fixture.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
#define STRICT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STRICT 1
#endif
#endif

static db_read_t *begin(fix_t *f)
{
  err_t e = {0};
  db_read_t *r = NULL;
  fix_must(db_read_begin(f->db, &r, &e), &e);
  return r;
}

static int64_t count_teams(fix_t *f, db_read_t *r)
{
  err_t e = {0};
  void *rows = NULL;
  size_t n = 0;
  int64_t total = 0;
  fix_must(list_page(r, f->a, &(list_query_t){.res = &res_team, .sort = -1, .page = 1, .per_page = 500}, &rows, &n, &total, &e), &e);
  assert_int_equal(n, total);
  return total;
}

static void *add_team(void *arg)
{
  fix_t *f = arg;
  put_team(f, "team-late", "late", 1);
  return NULL;
}

static void test_snapshot(void **state)
{
  fix_t *f = *state;
  pthread_t t;
  db_read_t *r = begin(f);
  int64_t before = count_teams(f, r);
  assert_int_equal(pthread_create(&t, NULL, add_team, f), 0); /* a reader does not hold the writer up */
  assert_int_equal(pthread_join(t, NULL), 0);
  assert_int_equal(count_teams(f, r), before);
  db_read_end(r);
  r = begin(f);
  assert_int_equal(count_teams(f, r), before + 1);
  db_read_end(r);
}

static void test_pool_exhausted(void **state)
{
  fix_t *f = *state;
  db_read_t *held[2], *none = NULL;
  err_t e = {0};
  fix_reopen(f, 3);
  held[0] = begin(f);
  held[1] = begin(f);
  int64_t from = time_mono_us(&timesrc_system);
  assert_int_equal(db_read_begin(f->db, &none, &e).code, RC_AGAIN);
  int64_t took = time_mono_us(&timesrc_system) - from;
  assert_string_equal(e.reason, "pool_exhausted");
  assert_true(e.retry);
  assert_null(none);
  assert_in_range(took, 1900000, 4000000);
  db_stats_t st;
  db_stats(f->db, &st);
  assert_int_equal(st.conns_open, 3);
  assert_int_equal(st.conns_in_use, 3);
  assert_int_equal(st.timeouts, 1);
  db_read_end(held[0]);
  held[0] = begin(f);
  db_read_end(held[0]);
  db_read_end(held[1]);
  db_stats(f->db, &st);
  assert_int_equal(st.conns_idle, 2);
}

/* Of connections fallen free only a fifth is kept, the rest is gone within 10 s. */
static void test_surplus_closes(void **state)
{
  fix_t *f = *state;
  db_read_t *held[6];
  db_stats_t st;
  fix_reopen(f, 11);
  for (int i = 0; i < 6; i++) held[i] = begin(f);
  for (int i = 0; i < 6; i++) db_read_end(held[i]);
  db_stats(f->db, &st);
  assert_int_equal(st.conns_idle, 6);
  int64_t until = time_mono_us(&timesrc_system) + 10 * US_PER_S;
  while (st.conns_idle > 2 && time_mono_us(&timesrc_system) < until) {
    (void)usleep(100000);
    db_stats(f->db, &st);
  }
  assert_int_equal(st.conns_idle, 2);
  assert_int_equal(st.conns_open, 3);
  held[0] = begin(f);
  db_read_end(held[0]);
}

static void test_one_connection(void **state)
{
  fix_t *f = *state;
  fix_reopen(f, 1);
  for (int i = 0; i < 20; i++) {
    char name[16];
    (void)snprintf(name, sizeof name, "t%d", i);
    put_team(f, name, name, i);
    db_read_t *r = begin(f);
    assert_int_equal(count_teams(f, r), 6 + i + 1);
    db_read_end(r);
  }
}

static void test_query_steps(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  db_read_t *r = begin(f);
  fix_must(db_query(r, sql_stamp_names(f->a), &e), &e);
  fix_must(db_next(r, &e), &e);
  fix_must(db_query(r, sql_stamp_names(f->a), &e), &e); /* ends the first */
  int n = 0;
  slice_t s;
  rc_t res;
  while (rc_ok(res = db_next(r, &e))) {
    n++;
    assert_false(db_col_null(r, 0));
    fix_must(db_col_text_dup(r, 0, f->a, &s), &e);
    assert_true(s.n > 0);
  }
  assert_int_equal(res.code, RC_NOTFOUND);
  assert_int_equal(db_next(r, &e).code, RC_NOTFOUND);
  assert_true(n >= 15);
  assert_int_equal(db_query(r, (stmt_t){&sql_text_stamp_own, NULL, 2}, &e).code, RC_NOMEM);
  assert_int_equal(db_query(r, (stmt_t){&sql_text_stamp_own, NULL, 0}, &e).code, RC_INTERNAL);
  /* a statement that writes cannot run here */
  const val_t v[] = {val_text(S("teams")), val_text(S("self"))};
  fix_must(db_query(r, (stmt_t){&sql_text_stamp_own, v, 2}, &e), &e);
  assert_int_equal(db_next(r, &e).code, RC_IO);
  assert_string_equal(e.reason, "read_only");
  db_read_end(r);
}

/* One to DB_STAMP_MAX tables have a common stamp; which ones they are matters. */
static void test_stamp_of_several_tables(void **state)
{
  static const char *const tables[DB_STAMP_MAX + 1] = {"teams", "owners", "jobs", "agents", "issuers"};
  fix_t *f = *state;
  err_t e = {0};
  uint64_t one, both, again, v;
  db_read_t *r = begin(f);
  assert_int_equal(db_stamp(r, tables, 0, &v, &e).code, RC_FULL);
  fix_must(db_stamp(r, tables, DB_STAMP_MAX, &v, &e), &e);
  assert_int_equal(db_stamp(r, tables, DB_STAMP_MAX + 1, &v, &e).code, RC_FULL);
  fix_must(db_stamp(r, tables, 1, &one, &e), &e);
  fix_must(db_stamp(r, tables, 2, &both, &e), &e);
  fix_must(db_stamp(r, tables, 1, &again, &e), &e);
  assert_true(one == again);
  db_read_end(r);
  put_team(f, "team-1", "one", 1);
  r = begin(f);
  fix_must(db_stamp(r, tables, 1, &again, &e), &e);
  assert_true(one != again);
  fix_must(db_stamp(r, tables, 2, &again, &e), &e);
  assert_true(both != again);
  fix_must(db_stamp(r, tables + 1, 1, &one, &e), &e);
  db_read_end(r);
  put_team(f, "team-2", "two", 2);
  r = begin(f);
  fix_must(db_stamp(r, tables + 1, 1, &again, &e), &e);
  assert_true(one == again);
  db_read_end(r);
}

/*
 * Runs fn in a child and tells whether it died: a debug or sanitizer build stops.
 * The store is opened on the other side of the fork, which only a process of one
 * thread survives.
 */
static bool dies(void (*fn)(fix_t *f), fix_t *f)
{
  int status = 0;
  db_close(f->db);
  f->db = NULL;
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    if (!freopen("/dev/null", "w", stderr)) _exit(0); /* counts as "did not die" */
    fix_reopen(f, 4);
    fn(f);
    _exit(0);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void too_many_statements(fix_t *f)
{
  err_t e = {0};
  db_read_t *r = begin(f);
  db_read_limits(r, 2, 0);
  for (int i = 0; i < 3; i++) fix_must(db_query(r, sql_stamp_all(f->a), &e), &e);
}

static void too_many_rows(fix_t *f)
{
  db_read_t *r = begin(f);
  db_read_limits(r, 0, 5);
  (void)count_teams(f, r);
}

static void submit_while_reading(fix_t *f)
{
  err_t e = {0};
  (void)begin(f);
  rc_t r = try_team(f->db, f->a, "x", "x", 1, &e);
  _exit(rc_is(r, RC_INTERNAL) && strcmp(e.reason, "held_read") == 0);
}

static void within_limits(fix_t *f)
{
  err_t e = {0};
  db_read_t *r = begin(f);
  db_read_limits(r, 2, 2);
  for (int i = 0; i < 2; i++) fix_must(db_one(r, sql_stamp_all(f->a), &e), &e);
}

static void test_rules(void **state)
{
  fix_t *f = *state;
  assert_false(dies(within_limits, f));
#ifdef STRICT
  assert_true(dies(too_many_statements, f));
  assert_true(dies(too_many_rows, f));
#else
  assert_false(dies(too_many_statements, f)); /* logged */
  assert_false(dies(too_many_rows, f));
#endif
  assert_true(dies(submit_while_reading, f));
}

/* --- many threads --- */

enum { THREADS = 16, EACH = 60 };

typedef struct worker {
  fix_t *f;
  int id;
  pthread_t thread;
} worker_t;

/* Adds rows of its own, tries one that another has, and reads what it wrote. */
static void *work(void *arg)
{
  worker_t *w = arg;
  arena_t *a = arena_new(4 * 1024 * 1024);
  for (int i = 0; i < EACH; i++) {
    char name[32];
    err_t e = {0};
    team_t t;
    db_read_t *r = NULL;
    int n = snprintf(name, sizeof name, "w%d-%d", w->id, i);
    fix_must(try_team(w->f->db, a, name, name, i, &e), &e);
    assert_int_equal(try_team(w->f->db, a, "dup", "Platform", i, &e).code, RC_CONFLICT);
    fix_must(db_read_begin(w->f->db, &r, &e), &e);
    fix_must(list_get(r, a, &res_team, slice_of(name, (size_t)n), &t, &e), &e);
    db_read_end(r);
    arena_reset(a);
  }
  arena_free(a);
  return NULL;
}

static void test_many_threads(void **state)
{
  fix_t *f = *state;
  static worker_t w[THREADS];
  for (int i = 0; i < THREADS; i++) {
    w[i] = (worker_t){.f = f, .id = i};
    assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(w[i].thread, NULL), 0);
  assert_int_equal(sql_number(f, "select count(*) from teams where id like 'w%'"), THREADS * EACH);
  db_stats_t st;
  db_stats(f->db, &st);
  assert_int_equal(st.commands, THREADS * EACH * 2);
  assert_int_equal(st.conflicts, THREADS * EACH);
  assert_true(st.batch_max > 1);
  assert_true(st.commits < st.commands);
  assert_true(st.conns_open <= st.conns_max);
}

typedef struct waiter {
  fix_t *f;
  arena_t *a;
  char name[16];
  rc_t result;
  pthread_t thread;
} waiter_t;

static void *submit_one(void *arg)
{
  waiter_t *w = arg;
  err_t e = {0};
  w->result = try_team(w->f->db, w->a, w->name, w->name, 1, &e);
  return NULL;
}

static void *close_store(void *arg)
{
  fix_t *f = arg;
  db_close(f->db);
  f->db = NULL;
  return NULL;
}

/* Close answers what is queued: commands wait behind a foreign writer, the store is closed, the lock goes. */
static void test_close_drains(void **state)
{
  fix_t *f = *state;
  static waiter_t w[8];
  pthread_t closer;
  sqlite3 *s = NULL;
  db_stats_t st = {0};
  assert_int_equal(sqlite3_open(f->url + 7, &s), SQLITE_OK);
  assert_int_equal(sqlite3_exec(s, "begin immediate", NULL, NULL, NULL), SQLITE_OK);
  for (int i = 0; i < 8; i++) {
    w[i] = (waiter_t){.f = f, .a = arena_new(64 * 1024), .result = {RC_INTERNAL}};
    (void)snprintf(w[i].name, sizeof w[i].name, "drain%d", i);
    assert_int_equal(pthread_create(&w[i].thread, NULL, submit_one, &w[i]), 0);
    while (!st.running) db_stats(f->db, &st); /* the first is with the writer, who waits for the lock */
  }
  while (st.queued < 7) db_stats(f->db, &st);
  assert_int_equal(pthread_create(&closer, NULL, close_store, f), 0);
  assert_int_equal(sqlite3_exec(s, "rollback", NULL, NULL, NULL), SQLITE_OK);
  (void)sqlite3_close(s);
  assert_int_equal(pthread_join(closer, NULL), 0);
  for (int i = 0; i < 8; i++) {
    assert_int_equal(pthread_join(w[i].thread, NULL), 0);
    assert_true(rc_ok(w[i].result));
    arena_free(w[i].a);
  }
  fix_reopen(f, 4);
  assert_int_equal(sql_number(f, "select count(*) from teams where id like 'drain%'"), 8);
}

/* A foreign writer that does not let go: the command is refused in time, not lost. */
static void test_busy(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  sqlite3 *s = NULL;
  assert_int_equal(sqlite3_open(f->url + 7, &s), SQLITE_OK);
  assert_int_equal(sqlite3_exec(s, "begin immediate", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(try_team(f->db, f->a, "busy", "busy", 1, &e).code, RC_AGAIN);
  assert_string_equal(e.reason, "busy");
  assert_true(e.retry);
  assert_int_equal(sqlite3_exec(s, "rollback", NULL, NULL, NULL), SQLITE_OK);
  (void)sqlite3_close(s);
  put_team(f, "busy", "busy", 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fix_setup, fix_teardown)
    T(snapshot), T(pool_exhausted), T(surplus_closes), T(one_connection), T(query_steps), T(stamp_of_several_tables), T(rules), T(many_threads), T(close_drains), T(busy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

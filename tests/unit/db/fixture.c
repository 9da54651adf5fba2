#include "fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void open_store(fix_t *f, size_t max_conns)
{
  err_t e = {0};
  rc_t r = db_open(&(db_options_t){.url = slice_str(f->url), .max_conns = max_conns, .time = &timesrc_system, .demo_seed = true},
                   &f->db, &e);
  if (!rc_ok(r)) fail_msg("db_open: %s %s", e.reason, e.value);
}

void fix_open(fix_t *f)
{
  /* Memory-backed where there is one: the tests commit thousands of times. */
  *f = (fix_t){.dir = "/dev/shm/certctl-db-XXXXXX"};
  if (!mkdtemp(f->dir)) {
    *f = (fix_t){.dir = "/tmp/certctl-db-XXXXXX"};
    assert_non_null(mkdtemp(f->dir));
  }
  (void)snprintf(f->url, sizeof f->url, "sqlite:%s/t.db", f->dir);
  f->a = arena_new(64 * 1024 * 1024);
  assert_non_null(f->a);
  open_store(f, 8);
}

void fix_reopen(fix_t *f, size_t max_conns)
{
  db_close(f->db);
  open_store(f, max_conns);
}

void fix_close(fix_t *f)
{
  static const char *const ends[] = {"t.db", "t.db-wal", "t.db-shm", "t.db-journal"};
  char path[128];
  db_close(f->db);
  arena_free(f->a);
  for (size_t i = 0; i < COUNT_OF(ends); i++) {
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, ends[i]);
    (void)unlink(path);
  }
  assert_int_equal(rmdir(f->dir), 0);
}

int fix_setup(void **state)
{
  static fix_t f;
  fix_open(&f);
  *state = &f;
  return 0;
}

int fix_teardown(void **state)
{
  fix_close(*state);
  return 0;
}

void fix_must(rc_t r, const err_t *e)
{
  if (!rc_ok(r)) fail_msg("%s: %s %s", rc_name(r), e->reason ? e->reason : "", e->value);
}

rc_t try_team(db_t *db, arena_t *a, const char *id, const char *name, int64_t at_us, err_t *e)
{
  team_t t = {slice_str(id), slice_str(name), S(""), {at_us}, {at_us}};
  cmd_t *c = cmd_new(a);
  cmd_add(c, list_insert(a, &res_team, &t), 1);
  return db_submit(db, c, e);
}

void put_team(fix_t *f, const char *id, const char *name, int64_t at_us)
{
  err_t e = {0};
  rc_t r = try_team(f->db, f->a, id, name, at_us, &e);
  if (!rc_ok(r)) fail_msg("team %s: %s %s %s", id, e.reason, e.field ? e.field : "", e.value);
}

certificate_t sample_certificate(const char *id, const char *name, int64_t at_us)
{
  return (certificate_t){.id = slice_str(id), .name = slice_str(name), .common_name = slice_str(name), .environment = S("test"),
                         .owner_id = S("o-alice"), .team_id = S("t-platform"), .issuer_id = S("iss-local"),
                         .renewal_policy_id = S("rp-standard"), .status = S("Pending"), .tags = S("{}"),
                         .expires_at = US_NEVER, .created_at = {at_us}, .updated_at = {at_us}};
}

static sqlite3 *own_connection(const fix_t *f)
{
  sqlite3 *s = NULL;
  assert_int_equal(sqlite3_open(f->url + 7, &s), SQLITE_OK);
  (void)sqlite3_busy_timeout(s, 5000);
  return s;
}

int64_t sql_number(const fix_t *f, const char *sql)
{
  sqlite3 *s = own_connection(f);
  sqlite3_stmt *st = NULL;
  assert_int_equal(sqlite3_prepare_v2(s, sql, -1, &st, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(st), SQLITE_ROW);
  int64_t v = sqlite3_column_int64(st, 0);
  (void)sqlite3_finalize(st);
  (void)sqlite3_close(s);
  return v;
}

int sql_run(const fix_t *f, const char *sql)
{
  sqlite3 *s = own_connection(f);
  int code = sqlite3_exec(s, sql, NULL, NULL, NULL);
  (void)sqlite3_close(s);
  return code;
}

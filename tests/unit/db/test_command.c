/* Commands: what is stored, what is refused and why, what wakes and bumps. */
#include "fixture.h"

#include "db/cmd.h"

#include <sqlite3.h>
#include <stdio.h>

static void test_seeds(void **state)
{
  const fix_t *f = *state;
  assert_int_equal(sql_number(f, "select count(*) from permissions"), 82);
  assert_int_equal(sql_number(f, "select count(*) from role_permissions where role_id = 'r-admin'"), 82);
  assert_int_equal(sql_number(f, "select count(*) from role_permissions where role_id = 'r-operator'"), 48);
  assert_int_equal(sql_number(f, "select count(*) from role_permissions where role_id = 'r-cli'"), 47);
  assert_int_equal(sql_number(f, "select count(*) from role_permissions where role_id = 'r-mcp'"), 33);
  assert_int_equal(sql_number(f, "select count(*) from role_permissions where role_id = 'r-viewer'"), 19);
  assert_int_equal(sql_number(f, "select count(*) from role_permissions where role_id = 'r-agent'"), 6);
  assert_int_equal(sql_number(f, "select count(*) from role_permissions where role_id = 'r-auditor'"), 3);
  assert_int_equal(sql_number(f, "select count(*) from owners"), 6);
  assert_int_equal(sql_number(f, "select count(*) from renewal_policies"), 4);
}

static void test_reopen_keeps(void **state)
{
  fix_t *f = *state;
  put_team(f, "team-1", "one", 1);
  fix_reopen(f, 1);
  assert_int_equal(sql_number(f, "select count(*) from teams where id = 'team-1'"), 1);
  assert_int_equal(sql_number(f, "select count(*) from permissions"), 82);
  assert_int_equal(sql_number(f, "select count(*) from schema_migrations"), 1);
  assert_int_equal(sql_number(f, "select count(*) from pragma_journal_mode where journal_mode = 'wal'"), 1);
}

static void expect(rc_t r, const err_t *e, int32_t code, const char *reason, const char *field)
{
  assert_int_equal(r.code, code);
  assert_string_equal(e->reason, reason);
  if (field) assert_string_equal(e->field, field);
}

static void test_unique(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  put_team(f, "team-1", "one", 1);
  expect(try_team(f->db, f->a, "team-2", "one", 1, &e), &e, RC_CONFLICT, "unique", "teams.name");
  assert_false(e.retry); /* it would fail again */
  e = (err_t){0};
  expect(try_team(f->db, f->a, "team-1", "two", 1, &e), &e, RC_CONFLICT, "unique", "teams.id");
  assert_int_equal(sql_number(f, "select count(*) from teams where id like 'team-%'"), 1);
}

static void test_guard(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  team_t t = {.id = S("absent"), .name = S("x")};
  cmd_t *c = cmd_new(f->a);
  team_t good = {S("team-9"), S("nine"), S(""), {1}, {1}};
  cmd_add(c, list_insert(f->a, &res_team, &good), 1);
  cmd_add(c, list_update(f->a, &res_team, &t, 2), 1);
  expect(db_submit(f->db, c, &e), &e, RC_CONFLICT, "guard", "teams");
  assert_int_equal(cmd_failed_at(c), 1);
  assert_int_equal(sql_number(f, "select count(*) from teams where id = 'team-9'"), 0);
}

static void test_foreign_key_and_check(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  certificate_t row = sample_certificate("cert-1", "a.example", 1);
  row.owner_id = S("nobody");
  cmd_t *c = cmd_new(f->a);
  cmd_add(c, list_insert(f->a, &res_certificate, &row), 1);
  expect(db_submit(f->db, c, &e), &e, RC_CONFLICT, "foreign_key", "managed_certificates");
  audit_t bad = {S("audit-1"), S("a"), S("User"), S("x"), S("team"), S("t"), S(""), {1}, S("nonsense")};
  c = cmd_new(f->a);
  e = (err_t){0};
  cmd_add(c, list_insert(f->a, &res_audit, &bad), 1);
  expect(db_submit(f->db, c, &e), &e, RC_CONFLICT, "check", "audit_events_event_category_check");
}

static void test_append_only(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  audit_t row = {S("audit-1"), S("a"), S("User"), S("x"), S("team"), S("t"), S("{\"k\":1}"), {1}, S("auth")};
  cmd_t *c = cmd_new(f->a);
  cmd_add(c, list_insert(f->a, &res_audit, &row), 1);
  assert_true(rc_ok(db_submit(f->db, c, &e)));
  c = cmd_new(f->a);
  cmd_add(c, list_delete(f->a, &res_audit, S("audit-1")), 1);
  expect(db_submit(f->db, c, &e), &e, RC_CONFLICT, "append_only", NULL);
  c = cmd_new(f->a);
  row.action = S("y");
  cmd_add(c, list_update(f->a, &res_audit, &row, UINT64_MAX), 1);
  expect(db_submit(f->db, c, &e), &e, RC_CONFLICT, "append_only", NULL);
  assert_int_equal(sql_run(f, "delete from audit_events"), SQLITE_CONSTRAINT);
  assert_int_equal(sql_number(f, "select count(*) from audit_events where action = 'x'"), 1);
}

static cmd_t *job_command(fix_t *f, const char *id, const char *type, const char *agent, const char *status)
{
  job_t j = {.id = slice_str(id), .type = slice_str(type), .certificate_id = S("cert-1"), .agent_id = slice_str(agent),
             .status = slice_str(status), .created_at = {1}, .next_run_at = {1}};
  cmd_t *c = cmd_new(f->a);
  cmd_add(c, list_insert(f->a, &res_job, &j), 1);
  return c;
}

static void test_one_live_job(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  certificate_t row = sample_certificate("cert-1", "a.example", 1);
  cmd_t *c = cmd_new(f->a);
  cmd_add(c, list_insert(f->a, &res_certificate, &row), 1);
  assert_true(rc_ok(db_submit(f->db, c, &e)));
  assert_int_equal(sql_run(f, "insert into agents (id, name, hostname, api_key_hash) values ('ag-1','a','h','x'),('ag-2','b','h','x')"),
                   SQLITE_OK);
  assert_true(rc_ok(db_submit(f->db, job_command(f, "j1", "Issuance", "ag-1", "AwaitingCSR"), &e)));
  expect(db_submit(f->db, job_command(f, "j2", "renewal", "ag-1", "pending"), &e), &e, RC_CONFLICT, "unique", "idx_jobs_one_live");
  assert_true(rc_ok(db_submit(f->db, job_command(f, "j3", "Renewal", "ag-2", "Pending"), &e)));
  assert_true(rc_ok(db_submit(f->db, job_command(f, "j4", "Deployment", "ag-1", "Pending"), &e)));
  assert_true(rc_ok(db_submit(f->db, job_command(f, "j5", "Renewal", "ag-1", "Completed"), &e)));
  assert_true(rc_ok(db_submit(f->db, job_command(f, "j6", "Renewal", "", "Pending"), &e)));
  expect(db_submit(f->db, job_command(f, "j7", "Issuance", "", "Running"), &e), &e, RC_CONFLICT, "unique", "idx_jobs_one_live");
}

static uint64_t stamp_of(fix_t *f, const char *table)
{
  err_t e = {0};
  db_read_t *r = NULL;
  uint64_t v = 0;
  assert_true(rc_ok(db_read_begin(f->db, &r, &e)));
  assert_true(rc_ok(db_stamp(r, &table, 1, &v, &e)));
  db_read_end(r);
  return v;
}

static void test_stamps(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  uint64_t teams = stamp_of(f, "teams"), jobs = stamp_of(f, "jobs"), owners = stamp_of(f, "owners");
  put_team(f, "team-1", "one", 1);
  assert_true(stamp_of(f, "teams") != teams);
  assert_true(stamp_of(f, "jobs") == jobs);
  teams = stamp_of(f, "teams");
  assert_int_equal(try_team(f->db, f->a, "team-1", "one", 1, &e).code, RC_CONFLICT);
  assert_true(stamp_of(f, "teams") == teams);
  /* a foreign writer is counted by trigger, ours is not counted twice */
  assert_int_equal(sql_number(f, "select n from stamp where resource = 'teams' and writer = 'self'"), 1);
  int64_t other = sql_number(f, "select n from stamp where resource = 'teams' and writer = 'other'");
  put_team(f, "team-2", "two", 1);
  assert_int_equal(sql_number(f, "select n from stamp where resource = 'teams' and writer = 'other'"), other);
  teams = stamp_of(f, "teams");
  assert_int_equal(sql_run(f, "update teams set description = 'x' where id = 'team-1'"), SQLITE_OK);
  assert_true(stamp_of(f, "teams") != teams);
  /* a delete may cascade anywhere */
  cmd_t *c = cmd_new(f->a);
  cmd_add(c, list_delete(f->a, &res_team, S("team-1")), 1);
  assert_true(rc_ok(db_submit(f->db, c, &e)));
  assert_true(stamp_of(f, "owners") != owners);
  assert_true(stamp_of(f, "jobs") != jobs);
}

/* What is known without reading is what reading says; a foreign commit makes it unknown, until ours. */
static void test_stamps_known(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  const char *const tables[] = {"teams", "jobs"}, *const strange[] = {"teams", "no_such_table"};
  uint64_t known = 0, before, read = 0;
  for (int i = 0; i < 20; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "team-%d", i);
    assert_true(db_stamp_known(f->db, tables, 1, &before));
    put_team(f, id, id, 1);
    assert_true(db_stamp_known(f->db, tables, 1, &known));
    assert_true(known != before);
    assert_true(known == stamp_of(f, "teams"));
  }
  assert_int_equal(try_team(f->db, f->a, "team-1", "team-1", 1, &e).code, RC_CONFLICT);
  assert_true(db_stamp_known(f->db, tables, 1, &before));
  assert_true(before == known);
  assert_true(db_stamp_known(f->db, tables, 2, &known));
  db_read_t *r = NULL;
  assert_true(rc_ok(db_read_begin(f->db, &r, &e)));
  assert_true(rc_ok(db_stamp(r, tables, 2, &read, &e)));
  db_read_end(r);
  assert_true(known == read);
  assert_false(db_stamp_known(f->db, strange, 2, &known));

  assert_int_equal(sql_run(f, "update teams set description = 'x' where id = 'team-1'"), SQLITE_OK);
  assert_false(db_stamp_known(f->db, tables, 1, &known));
  put_team(f, "team-own", "own", 1);
  assert_true(db_stamp_known(f->db, tables, 1, &known));
  assert_true(known == stamp_of(f, "teams"));
  assert_true(known != before);

  cmd_t *c = cmd_new(f->a); /* may cascade anywhere */
  cmd_add(c, list_delete(f->a, &res_team, S("team-1")), 1);
  assert_true(rc_ok(db_submit(f->db, c, &e)));
  assert_true(db_stamp_known(f->db, tables + 1, 1, &known));
  assert_true(known == stamp_of(f, "jobs"));
}

static char woken[64];

static void on_wake(void *self, char kind, slice_t id)
{
  (void)self;
  size_t n = strlen(woken);
  (void)snprintf(woken + n, sizeof woken - n, "%c:%.*s ", kind, SLICE_ARG(id));
}

static void test_wake(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  woken[0] = 0;
  db_on_wake(f->db, on_wake, NULL);
  team_t t = {S("team-1"), S("one"), S(""), {1}, {1}};
  for (int i = 0; i < 2; i++) { /* the second fails: it wakes nobody */
    cmd_t *c = cmd_new(f->a);
    cmd_add(c, list_insert(f->a, &res_team, &t), 1);
    cmd_wake(c, 'a', S("agent-1"));
    cmd_wake(c, 'j', S("job-1"));
    assert_int_equal(db_submit(f->db, c, &e).code, i ? RC_CONFLICT : RC_OK);
  }
  assert_string_equal(woken, "a:agent-1 j:job-1 ");
}

static void test_misuse(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  expect(db_submit(f->db, cmd_new(f->a), &e), &e, RC_INTERNAL, "empty", NULL);
  cmd_t *c = cmd_new(f->a);
  team_t t = {S("team-1"), S("one"), S(""), {1}, {1}};
  cmd_add(c, list_insert(f->a, &res_team, &t), 1);
  assert_true(rc_ok(db_submit(f->db, c, &e)));
  expect(db_submit(f->db, c, &e), &e, RC_INTERNAL, "submitted", NULL);
  expect(db_submit(f->db, NULL, &e), &e, RC_NOMEM, "memory", NULL);
  c = cmd_new(f->a);
  for (int i = 0; i < 2 * LIM_CERT_TARGETS; i++) cmd_add(c, list_delete(f->a, &res_team, S("x")), CMD_ANY_ROWS);
  expect(db_submit(f->db, c, &e), &e, RC_FULL, "command", NULL);
}

static void test_small_arena(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  for (size_t budget = 64; budget < 4096; budget += 64) {
    arena_t *small = arena_new(budget);
    assert_non_null(small);
    rc_t r = try_team(f->db, small, "team-s", "small", 1, &e);
    int64_t n = sql_number(f, "select count(*) from teams where id = 'team-s'");
    arena_free(small);
    if (rc_ok(r)) {
      assert_int_equal(n, 1);
      return;
    }
    assert_int_equal(r.code, RC_NOMEM);
    assert_int_equal(n, 0);
  }
  fail_msg("no budget was enough");
}

static void test_url(void **state)
{
  (void)state;
  static const char *const bad[] = {"", "sqlite:", "postgres://u:secret@h/d", "/x.db"};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    err_t e = {0};
    db_t *db = NULL;
    expect(db_open(&(db_options_t){.url = slice_str(bad[i]), .max_conns = 2, .time = &timesrc_system}, &db, &e), &e, RC_INVALID,
           "url", "CERTCTL_DATABASE_URL");
    assert_null(strstr(e.value, "secret"));
    assert_null(db);
  }
}

static void test_newer_schema(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  db_t *db = NULL;
  assert_int_equal(sql_run(f, "insert into schema_migrations (version) values ('001999_from_the_future.sql')"), SQLITE_OK);
  db_close(f->db);
  f->db = NULL;
  db_options_t o = {.url = slice_str(f->url), .max_conns = 2, .time = &timesrc_system};
  expect(db_open(&o, &db, &e), &e, RC_INVALID, "schema_newer", NULL);
  o.read_only = true;
  expect(db_open(&o, &db, &e), &e, RC_INVALID, "schema_newer", NULL);
  assert_null(db);
}

static void test_read_only(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  db_t *db = NULL;
  put_team(f, "team-1", "one", 1);
  assert_true(rc_ok(db_open(&(db_options_t){.url = slice_str(f->url), .max_conns = 2, .time = &timesrc_system, .read_only = true}, &db, &e)));
  team_t t;
  db_read_t *r = NULL;
  assert_true(rc_ok(db_read_begin(db, &r, &e)));
  assert_true(rc_ok(list_get(r, f->a, &res_team, S("team-1"), &t, &e)));
  db_read_end(r);
  expect(try_team(db, f->a, "team-2", "two", 1, &e), &e, RC_DENIED, "read_only", NULL);
  db_close(db);
}

/* What is wrong with a command is said when it is submitted, and nothing of it is stored. */
static void test_commands_have_limits(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  int64_t before = sql_number(f, "select count(*) from teams");
  for (int touches = 1; touches <= 64; touches *= 2) {
    cmd_t *c = cmd_new(f->a);
    team_t t = {S("t-x"), S("x"), S(""), {1}, {1}};
    cmd_add(c, list_insert(f->a, &res_team, &t), 1);
    for (int i = 0; i < touches; i++) cmd_touch(c, "teams");
    rc_t r = db_submit(f->db, c, &e);
    assert_int_equal(r.code, touches <= CMD_TOUCH_MAX ? RC_OK : RC_FULL);
    if (rc_ok(r)) assert_int_equal(sql_run(f, "delete from teams where id = 't-x'"), 0);
  }
  cmd_t *c = cmd_new(f->a);
  stmt_t s = list_delete(f->a, &res_team, S("t-platform"));
  s.vals = NULL;
  cmd_add(c, s, 1);
  assert_int_equal(db_submit(f->db, c, &e).code, RC_NOMEM);
  cmd_add(NULL, s, 1);
  cmd_touch(NULL, "teams");
  cmd_wake(NULL, 'a', S("x"));
  assert_int_equal(db_submit(f->db, NULL, &e).code, RC_NOMEM);
  assert_int_equal(sql_number(f, "select count(*) from teams"), before);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fix_setup, fix_teardown)
    T(seeds), T(reopen_keeps), T(unique), T(guard), T(foreign_key_and_check), T(append_only), T(one_live_job), T(stamps), T(stamps_known),
    T(wake), T(misuse), T(commands_have_limits), T(small_arena), T(url), T(newer_schema), T(read_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

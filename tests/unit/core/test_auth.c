/* Who holds which key: settings, store, agents; ends of keys and grants; the first administrator. */
#include "world.h"

#include "core/auth.h"
#include "core/setup.h"
#include "crypto/hash.h"

#include <stdio.h>
#include <sys/stat.h>

#define TEXT(lit)                           \
  {                                         \
    (const uint8_t *)(lit), sizeof(lit) - 1 \
  }
static const conf_key_t keys[] = {{TEXT("root"), TEXT("root-key"), true}, {TEXT("reader"), TEXT("reader-key"), false}};

typedef struct fix {
  world_t w;
  auth_t *auth;
} fix_t;

static int setup(void **state)
{
  static fix_t f;
  err_t e = {0};
  world_open(&f.w);
  f.w.conf.keys = keys;
  f.w.conf.nkeys = COUNT_OF(keys);
  must(setup_store(&f.w.core, &e), &e);
  f.auth = NULL;
  must(auth_start(&f.w.core, &f.auth, &e), &e);
  *state = &f;
  return 0;
}

static int teardown(void **state)
{
  fix_t *f = *state;
  auth_free(f->auth);
  world_close(&f->w);
  return 0;
}

/* What a header is answered; a copy of the actor with what matters of it. */
static rc_t check(fix_t *f, slice_t header, actor_t *ret, err_t *e)
{
  db_read_t *r = NULL;
  const actor_t *found = NULL;
  auth_pin_t *pin = NULL;
  must(db_read_begin(f->w.core.db, &r, NULL), NULL);
  rc_t got = auth_check(f->auth, r, header, f->w.now, &found, &pin, e);
  db_read_end(r);
  if (rc_ok(got)) {
    *ret = *found;
    ret->id = arena_dup(f->w.a, found->id);
    ret->scoped = NULL;
    ret->roles = NULL;
    auth_unpin(f->auth, pin);
  }
  return got;
}

static bool knows(fix_t *f, const char *key, actor_t *ret)
{
  err_t e = {0};
  actor_t ignored;
  rc_t got = check(f, arena_printf(f->w.a, "Bearer %s", key), ret ? ret : &ignored, &e);
  if (!rc_ok(got)) {
    assert_true(rc_is(got, RC_DENIED));
    assert_string_equal(e.reason, "unknown");
  }
  return rc_ok(got);
}

static bool may(const actor_t *a, const char *permission)
{
  return actor_may(a, permission_find(slice_str(permission)), (slice_t){NULL, 0}, (slice_t){NULL, 0});
}

static void put_key(fix_t *f, const char *id, const char *name, const char *key, bool admin)
{
  char hash[65], sql[512];
  auth_key_hash(slice_str(key), hash);
  (void)snprintf(sql, sizeof sql,
                 "insert into api_keys (id, name, key_hash, admin, created_by) values ('%s', '%s', '%s', %d, 'test')",
                 id, name, hash, admin);
  world_run(&f->w, "api_keys", sql);
}

/* A statement with one number in place of "@". */
static void sql(fix_t *f, const char *table, const char *text, int64_t at)
{
  slice_t rest = slice_str(text), left;
  (void)slice_split(&rest, '@', &left);
  world_run(&f->w, table,
            arena_text(f->w.a, arena_printf(f->w.a, "%.*s%lld%.*s", SLICE_ARG(left), (long long)at, SLICE_ARG(rest))));
}

static void test_headers_that_are_none(void **state)
{
  fix_t *f = *state;
  static const struct {
    const char *header, *reason;
  } bad[] = {{NULL, "missing"},
             {"", "format"},
             {"Basic x", "format"},
             {"Bearer", "format"},
             {"Bearer ", "format"},
             {"bearer root-key", "format"},
             {"Bearer root-key ", "unknown"},
             {"Bearer root-ke", "unknown"},
             {"Bearer  root-key", "unknown"}};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    actor_t a;
    err_t e = {0};
    slice_t header = bad[i].header ? slice_of(bad[i].header, strlen(bad[i].header)) : (slice_t){NULL, 0};
    assert_true(rc_is(check(f, header, &a, &e), RC_DENIED));
    assert_string_equal(e.reason, bad[i].reason);
  }
}

static void test_keys_of_the_settings(void **state)
{
  fix_t *f = *state;
  actor_t a;
  assert_true(knows(f, "root-key", &a));
  assert_true(slice_is(a.id, "root") && slice_is(a.type, "APIKey") && a.admin_key && a.nroles == 1);
  for (int i = 0; i < PERMISSION_COUNT; i++) assert_true(permset_has(&a.global, i));
  assert_true(knows(f, "reader-key", &a));
  assert_true(!a.admin_key && may(&a, "cert.read") && !may(&a, "cert.edit") && !may(&a, "team.edit"));
}

static void test_every_start_grants_once(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  int64_t before = world_number(&f->w, "select count(*) from actor_roles");
  must(setup_store(&f->w.core, &e), &e);
  must(setup_store(&f->w.core, &e), &e);
  assert_int_equal(world_number(&f->w, "select count(*) from actor_roles"), before);
}

static void test_a_key_ends(void **state)
{
  fix_t *f = *state;
  put_key(f, "ak-1", "robot", "robot-key", false);
  sql(f, "api_keys", "update api_keys set expires_at = @ where id = 'ak-1'", us_add_s(f->w.now, 60).us);
  assert_true(knows(f, "robot-key", NULL));
  f->w.now = us_add_s(f->w.now, 59);
  assert_true(knows(f, "robot-key", NULL));
  f->w.now = us_add_s(f->w.now, 1);
  assert_false(knows(f, "robot-key", NULL));
  assert_true(knows(f, "root-key", NULL));
}

static void test_a_grant_ends(void **state)
{
  fix_t *f = *state;
  actor_t a;
  put_key(f, "ak-2", "temp", "temp-key", false);
  sql(f, "actor_roles",
      "insert into actor_roles (id, actor_id, actor_type, role_id, tenant_id, expires_at) values ('ar-2', 'temp', "
      "'APIKey', 'r-operator', 't-default', @)",
      us_add_s(f->w.now, 60).us);
  assert_true(knows(f, "temp-key", &a) && may(&a, "cert.edit"));
  f->w.now = us_add_s(f->w.now, 60);
  assert_true(knows(f, "temp-key", &a));
  assert_false(may(&a, "cert.edit") || may(&a, "cert.read"));
}

static void test_a_scoped_grant_holds_for_its_scope(void **state)
{
  fix_t *f = *state;
  db_read_t *r = NULL;
  const actor_t *a = NULL;
  auth_pin_t *pin = NULL;
  err_t e = {0};
  put_key(f, "ak-3", "scoped", "scoped-key", false);
  sql(f, "actor_roles",
      "insert into actor_roles (id, actor_id, actor_type, role_id, tenant_id, scope_type, scope_id, granted_at) "
      "values ('ar-3', 'scoped', 'APIKey', 'r-operator', 't-default', 'issuer', 'iss-local', @)",
      f->w.now.us);
  must(db_read_begin(f->w.core.db, &r, &e), &e);
  must(auth_check(f->auth, r, S("Bearer scoped-key"), f->w.now, &a, &pin, &e), &e);
  db_read_end(r);
  int p = permission_find(S("issuer.read"));
  assert_true(actor_may(a, p, S("issuer"), S("iss-local")));
  assert_false(actor_may(a, p, S("issuer"), S("iss-other")));
  assert_false(actor_may(a, p, S("profile"), S("iss-local")));
  assert_false(actor_may(a, p, (slice_t){NULL, 0}, (slice_t){NULL, 0}));
  auth_unpin(f->auth, pin);
}

static void test_the_previous_key_of_a_rotation(void **state)
{
  fix_t *f = *state;
  char old[65];
  put_key(f, "ak-4", "rotated", "new-key", false);
  auth_key_hash(S("old-key"), old);
  world_run(&f->w, "api_keys",
            arena_text(f->w.a,
                       arena_printf(f->w.a,
                                    "update api_keys set previous_hash = '%s', previous_until = %lld where id = 'ak-4'",
                                    old, (long long)us_add_s(f->w.now, 3600).us)));
  actor_t a;
  assert_true(knows(f, "new-key", NULL));
  assert_true(knows(f, "old-key", &a));
  assert_true(slice_is(a.id, "rotated"));
  f->w.now = us_add_s(f->w.now, 3600);
  assert_true(knows(f, "new-key", NULL));
  assert_false(knows(f, "old-key", NULL));
}

/* The load-test seed has such rows: a hash that is not 64 hex digits fits no key, not even its own text. */
static void test_a_hash_that_is_not_hex_never_matches(void **state)
{
  fix_t *f = *state;
  static const char *const bad[] = {"", "plain-key", "zz", "abcd",
                                    "0000000000000000000000000000000000000000000000000000000000000000 "};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    world_run(
        &f->w, "api_keys",
        arena_text(f->w.a,
                   arena_printf(
                       f->w.a,
                       "insert into api_keys (id, name, key_hash, created_by) values ('bad-%zu', 'bad-%zu', '%s', 'x')",
                       i, i, bad[i])));
    assert_false(bad[i][0] && knows(f, bad[i], NULL));
  }
  assert_int_equal(auth_principals(f->auth), COUNT_OF(keys));
  world_run(&f->w, "agents",
            "insert into agents (id, name, hostname, status, api_key_hash) values ('agent-seed', 'seed', 'h', "
            "'Online', 'placeholder')");
  assert_false(knows(f, "placeholder", NULL));
  assert_true(knows(f, "root-key", NULL));
}

static void test_an_agents_key_is_that_agent(void **state)
{
  fix_t *f = *state;
  actor_t a;
  world_agent(&f->w, "agent-1", "agent-key");
  assert_true(knows(f, "agent-key", &a));
  assert_true(actor_is_agent(&a) && slice_is(a.id, "agent-1") && !a.retired && !a.admin_key);
  assert_true(may(&a, "agent.job.poll") && may(&a, "verification.run") && !may(&a, "team.edit") &&
              !may(&a, "agent.edit"));
  world_run(&f->w, "agents", "update agents set retired_at = 1 where id = 'agent-1'");
  world_run(&f->w, "api_keys", "update api_keys set name = name"); /* as retirement does: principals changed */
  assert_true(knows(f, "agent-key", &a));
  assert_true(a.retired);
}

/* Within two point reads; a rebuild needs more, and stops this build. */
static void knock(fix_t *f)
{
  db_read_t *r = NULL;
  const actor_t *a;
  auth_pin_t *pin;
  err_t e = {0};
  must(db_read_begin(f->w.core.db, &r, &e), &e);
  db_read_limits(r, 2, 2);
  assert_true(rc_is(auth_check(f->auth, r, S("Bearer never"), f->w.now, &a, &pin, &e), RC_DENIED));
  db_read_end(r);
}

/* Somebody else's SQL adds an agent: its key is unknown for a second at most. */
static void test_an_unknown_key_is_looked_for_again_when_agents_changed(void **state)
{
  fix_t *f = *state;
  assert_false(knows(f, "late-key", NULL));
  size_t n = auth_principals(f->auth);
  world_agent(&f->w, "agent-late", "late-key");
  f->w.now = us_add_s(f->w.now, 1);
  assert_true(knows(f, "late-key", NULL));
  assert_int_equal(auth_principals(f->auth), n + 1);
  f->w.now = us_add_s(f->w.now, 1);
  knock(f); /* nothing changed since */
  world_agent(&f->w, "agent-later", "later-key");
  f->w.now = us_add_s(f->w.now, -3600); /* the clock is set back */
  assert_true(knows(f, "later-key", NULL));
}

/* Heartbeats change the agents all the time; who knocks with wrong keys must not make a snapshot of each knock. */
static void test_wrong_keys_cost_one_snapshot_a_second(void **state)
{
  fix_t *f = *state;
  world_agent(&f->w, "agent-1", "agent-key");
  assert_false(knows(f, "never", NULL));
  for (int i = 0; i < 5; i++) {
    world_run(&f->w, "agents", "update agents set last_heartbeat_at = last_heartbeat_at + 1");
    f->w.now.us += i == 4 ? US_PER_S - 4 - 1 : 1;
    knock(f);
  }
}

static void test_many_agents_are_all_known(void **state)
{
  enum { AGENTS = 200 };
  fix_t *f = *state;
  for (int i = 0; i < AGENTS; i++)
    world_agent(&f->w, arena_text(f->w.a, arena_printf(f->w.a, "agent-%d", i)),
                arena_text(f->w.a, arena_printf(f->w.a, "key-%d", i)));
  for (int i = 0; i < AGENTS; i++) {
    actor_t a;
    assert_true(knows(f, arena_text(f->w.a, arena_printf(f->w.a, "key-%d", i)), &a));
    assert_true(slice_eq(a.id, arena_printf(f->w.a, "agent-%d", i)));
  }
  assert_int_equal(auth_principals(f->auth), AGENTS + COUNT_OF(keys));
}

/* The same key in the settings and in the store is one principal: the store's. */
static void test_a_key_of_settings_and_store_is_the_stores(void **state)
{
  fix_t *f = *state;
  actor_t a;
  put_key(f, "ak-6", "stored", "root-key", false);
  assert_true(knows(f, "root-key", &a));
  assert_true(slice_is(a.id, "stored") && !a.admin_key && !may(&a, "cert.read"));
  assert_int_equal(auth_principals(f->auth), COUNT_OF(keys));
}

/* What a role may on one issuer alone is not given for all of them. */
static void test_a_roles_scoped_permission_is_not_a_global_one(void **state)
{
  fix_t *f = *state;
  actor_t a;
  world_run(&f->w, "role_permissions",
            "insert into role_permissions (role_id, permission_id, scope_type, scope_id) "
            "select 'r-viewer', id, 'issuer', 'iss-local' from permissions where name = 'issuer.edit'");
  world_run(&f->w, "role_permissions", "insert into permissions (id, name, namespace) values ('p-x', 'no.such', 'no')");
  world_run(&f->w, "role_permissions",
            "insert into role_permissions (role_id, permission_id) values ('r-viewer', 'p-x')");
  assert_true(knows(f, "reader-key", &a));
  assert_true(may(&a, "issuer.read") && !may(&a, "issuer.edit"));
}

/* A pinned snapshot lives on while others replace it. */
static void test_a_pin_outlives_its_snapshot(void **state)
{
  fix_t *f = *state;
  db_read_t *r = NULL;
  const actor_t *a;
  auth_pin_t *pin;
  err_t e = {0};
  must(db_read_begin(f->w.core.db, &r, &e), &e);
  must(auth_check(f->auth, r, S("Bearer root-key"), f->w.now, &a, &pin, &e), &e);
  db_read_end(r);
  put_key(f, "ak-5", "one more", "one-more", false);
  assert_true(knows(f, "one-more", NULL));
  assert_true(slice_is(a->id, "root") && may(a, "cert.read"));
  auth_unpin(f->auth, pin);
}

static void test_none_is_everybody(void **state)
{
  fix_t *f = *state;
  actor_t a;
  err_t e = {0};
  f->w.conf.auth_type = S("none");
  must(check(f, (slice_t){NULL, 0}, &a, &e), &e);
  assert_true(slice_is(a.type, "Anonymous") && slice_is(a.id, "actor-demo-anon") && may(&a, "cert.read"));
}

/* --- the first administrator --- */

static size_t admin_file(world_t *w, char out[128], mode_t *ret_mode)
{
  char path[160];
  struct stat st;
  (void)snprintf(path, sizeof path, "%s/admin.key", w->dir);
  FILE *f = fopen(path, "r");
  if (!f) return 0;
  size_t n = fread(out, 1, 127, f);
  assert_int_equal(fstat(fileno(f), &st), 0);
  (void)fclose(f);
  *ret_mode = st.st_mode & 0777;
  out[n] = 0;
  return n;
}

static void test_first_administrator_is_minted_once(void **state)
{
  fix_t f = {0};
  err_t e = {0};
  char first[128], second[128];
  mode_t mode = 0;
  (void)state;
  world_open(&f.w);
  must(setup_store(&f.w.core, &e), &e);
  must(auth_start(&f.w.core, &f.auth, &e), &e);
  assert_int_equal(admin_file(&f.w, first, &mode), 65);
  assert_int_equal(mode, 0600);
  assert_int_equal(first[64], '\n');
  first[64] = 0;
  actor_t a;
  assert_true(knows(&f, first, &a));
  assert_true(slice_is(a.id, "admin") && a.admin_key && may(&a, "auth.key.create"));
  assert_int_equal(world_number(&f.w, "select count(*) from audit_events where action = 'bootstrap.consume'"), 1);
  must(setup_store(&f.w.core, &e), &e);
  assert_int_equal(admin_file(&f.w, second, &mode), 65);
  second[64] = 0;
  assert_string_equal(first, second);
  assert_int_equal(world_number(&f.w, "select count(*) from api_keys"), 1);
  auth_free(f.auth);
  world_close(&f.w);
}

/* Who administers one issuer alone could not let anybody in. */
static void test_an_administrator_of_one_scope_is_none(void **state)
{
  fix_t f = {0};
  err_t e = {0};
  char key[128];
  mode_t mode;
  (void)state;
  world_open(&f.w);
  world_run(&f.w, "actor_roles",
            "insert into actor_roles (id, actor_id, actor_type, role_id, tenant_id, scope_type, scope_id) values "
            "('ar-9', 'half', 'APIKey', 'r-admin', 't-default', 'issuer', 'iss-local')");
  must(setup_store(&f.w.core, &e), &e);
  assert_int_equal(admin_file(&f.w, key, &mode), 65);
  world_close(&f.w);
}

/* Every allocation of a first start fails in turn, and of the first look-up after it: then all is there once. */
static void test_torture_of_a_first_start(void **state)
{
  fix_t f = {0};
  char key[128];
  mode_t mode;
  err_t e = {0};
  rc_t got = rc(RC_NOMEM);
  int failures = 0;
  (void)state;
  world_open(&f.w);
  for (long n = 0; n < 200 && !rc_ok(got); n++) {
    mem_fail_after(n);
    got = setup_store(&f.w.core, &e);
    mem_fail_after(-1);
    failures += !rc_ok(got);
    assert_int_equal(world_number(&f.w, "select count(*) from api_keys"), rc_ok(got));
  }
  assert_true(rc_ok(got) && failures > 0);
  for (long n = 0; n < 20 && !f.auth; n++) {
    mem_fail_after(n);
    got = auth_start(&f.w.core, &f.auth, &e);
    mem_fail_after(-1);
    assert_int_equal(rc_ok(got), f.auth != NULL);
  }
  assert_int_equal(admin_file(&f.w, key, &mode), 65);
  slice_t header = arena_printf(f.w.a, "Bearer %.64s", key);
  got = rc(RC_NOMEM);
  for (long n = 0; n < 200 && !rc_ok(got); n++) {
    actor_t a;
    mem_fail_after(n);
    got = check(&f, header, &a, &e);
    mem_fail_after(-1);
    assert_true(!rc_ok(got) || slice_is(a.id, "admin"));
  }
  assert_true(rc_ok(got));
  auth_free(f.auth);
  auth_free(NULL);
  world_close(&f.w);
}

static void test_none_is_minted_beside_a_key_of_the_settings(void **state)
{
  fix_t *f = *state;
  char text[128];
  mode_t mode;
  err_t e = {0};
  must(setup_store(&f->w.core, &e), &e);
  assert_int_equal(admin_file(&f->w, text, &mode), 0);
  assert_int_equal(world_number(&f->w, "select count(*) from api_keys"), 0);
}

int main(void)
{
#define WITH_AUTH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
  const struct CMUnitTest tests[] = {
      WITH_AUTH(test_headers_that_are_none),
      WITH_AUTH(test_keys_of_the_settings),
      WITH_AUTH(test_every_start_grants_once),
      WITH_AUTH(test_a_key_ends),
      WITH_AUTH(test_a_grant_ends),
      WITH_AUTH(test_a_scoped_grant_holds_for_its_scope),
      WITH_AUTH(test_the_previous_key_of_a_rotation),
      WITH_AUTH(test_a_hash_that_is_not_hex_never_matches),
      WITH_AUTH(test_an_agents_key_is_that_agent),
      WITH_AUTH(test_an_unknown_key_is_looked_for_again_when_agents_changed),
      WITH_AUTH(test_wrong_keys_cost_one_snapshot_a_second),
      WITH_AUTH(test_a_key_of_settings_and_store_is_the_stores),
      WITH_AUTH(test_many_agents_are_all_known),
      WITH_AUTH(test_a_roles_scoped_permission_is_not_a_global_one),
      WITH_AUTH(test_a_pin_outlives_its_snapshot),
      WITH_AUTH(test_none_is_everybody),
      cmocka_unit_test(test_first_administrator_is_minted_once),
      cmocka_unit_test(test_an_administrator_of_one_scope_is_none),
      cmocka_unit_test(test_torture_of_a_first_start),
      WITH_AUTH(test_none_is_minted_beside_a_key_of_the_settings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Requests through dispatch and handlers without a network: who is refused before anything is read, and every
 * allocation of a read and of writes failing in turn.
 */
#include "app.h"

#include "wire/json_in.h"

#include <stdio.h>

/* One request; the n-th allocation fails, when n is not below 0. */
static http_response_t ask(app_world_t *f, arena_t *a, const char *method, const char *path, const char *key,
                           const char *body, long n)
{
  return app_ask(f, a, &(ask_t){.method = method, .path = path, .key = key, .body = body, .fail = n + 1});
}

/* A reply is whole, whatever happened: JSON text where it has a body. */
static void whole(arena_t *a, const http_response_t *rp)
{
  json_doc_t doc;
  if (rp->body.n == 0) return;
  arena_set_budget(a, 64 * 1024 * 1024);
  slice_t text = rp->body;
  while (text.n && text.p[text.n - 1] == '\n') text.n--;
  must(json_parse(a, text, &doc, NULL), NULL);
}

static void test_refusals_come_before_the_body_is_read(void **state)
{
  static const struct {
    const char *method, *path, *key;
    int status;
  } v[] = {
      {"GET", "/api/v1/teams", NULL, 401},
      {"POST", "/api/v1/teams", "nobody", 401},
      {"POST", "/api/v1/teams", "reader-key", 403},
      {"DELETE", "/api/v1/teams/x", "reader-key", 403},
      {"GET", "/api/v1/teams", "reader-key", 200},
      {"POST", "/api/v1/agents", NULL, 401},
      {"POST", "/api/v1/agents", "reader-key", 403},
      {"GET", "/health", NULL, 200},
      {"GET", "/ready", NULL, 200},
      {"POST", "/api/v1/teams", "root-key", 400},
  };
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    arena_t *a = arena_new(1 << 20);
    http_response_t rp = ask(f, a, v[i].method, v[i].path, v[i].key, "not JSON", -1);
    if (rp.status != v[i].status) fail_msg("%s %s: %d", v[i].method, v[i].path, rp.status);
    whole(a, &rp);
    arena_free(a);
  }
}

/* Every route that is not open refuses who brings no key, and an agent's key is refused where it has no business. */
static void test_no_route_answers_without_a_key(void **state)
{
  app_world_t *f = *state;
  static const char *const paths[] = {"certificates", "issuers",          "targets", "profiles",       "teams",
                                      "owners",       "renewal-policies", "agents",  "agents/retired", "jobs",
                                      "audit",        "stats/summary",    "metrics", "auth/check",     "auth/me"};
  for (size_t i = 0; i < COUNT_OF(paths); i++) {
    char path[64];
    arena_t *a = arena_new(1 << 20);
    (void)snprintf(path, sizeof path, "/api/v1/%s", paths[i]);
    assert_int_equal(ask(f, a, "GET", path, NULL, "", -1).status, 401);
    arena_reset(a);
    assert_int_equal(ask(f, a, "GET", path, "root-key", "", -1).status, 200);
    arena_free(a);
  }
}

/* Each allocation fails in turn: all of it is stored, with its audit row, or nothing. */
static void test_torture_of_a_read_and_of_writes(void **state)
{
  static const struct {
    const char *method, *path, *body;
    int status;
    const char *number; /* of the store */
    int64_t before, done;
  } v[] = {
      {"GET", "/api/v1/teams?per_page=3&sort=name", "", 200, "select count(*) from audit_events", 0, 0},
      {"POST", "/api/v1/certificates",
       "{\"id\":\"mc-t\",\"name\":\"torture\",\"common_name\":\"www.example.test\",\"sans\":[\"a.example.test\",\"10.0."
       "0.1\"],"
       "\"owner_id\":\"o-alice\",\"team_id\":\"t-platform\",\"issuer_id\":\"iss-local\",\"renewal_policy_id\":\"rp-"
       "standard\","
       "\"tags\":{\"a\":\"b\"}}",
       201,
       "select (select count(*) from managed_certificates where id = 'mc-t') + 10 * "
       "(select count(*) from audit_events where resource_id = 'mc-t')",
       0, 11},
      {"PUT", "/api/v1/owners/o-bob", "{\"email\":\"new@example.test\",\"team_id\":\"t-data\"}", 200,
       "select (select count(*) from owners where email = 'new@example.test' and team_id = 't-data') + 10 * "
       "(select count(*) from audit_events where resource_id = 'o-bob') + 100 * "
       "(select count(*) from owners where email = 'bob@example.com' and team_id = 't-security')",
       100, 11},
  };
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    int failures = 0, status = 0;
    for (long n = 0; n < 300 && status != v[i].status; n++) {
      arena_t *a = arena_new(48 << 20);
      http_response_t rp = ask(f, a, v[i].method, v[i].path, "root-key", v[i].body, n);
      status = rp.status;
      assert_true(status == v[i].status || status == 413 || status == 500 || status == 503);
      failures += status != v[i].status;
      whole(a, &rp);
      assert_int_equal(world_number(&f->w, v[i].number), status == v[i].status ? v[i].done : v[i].before);
      arena_free(a);
    }
    assert_int_equal(status, v[i].status);
    assert_true(failures > 0);
  }
}

/* Refused requests write one audit row a minute each, through allocations that fail. */
static void test_torture_of_a_refusal(void **state)
{
  app_world_t *f = *state;
  for (long n = 0; n < 60; n++) {
    arena_t *a = arena_new(1 << 20);
    f->w.now = us_add_s(f->w.now, 60);
    int status = ask(f, a, "POST", "/api/v1/teams", "reader-key", "{}", n).status;
    assert_true(status == 403 || status == 413 || status == 500 || status == 503);
    arena_free(a);
  }
  assert_true(world_number(&f->w, "select count(*) from audit_events where action = 'auth.denied'") > 0);
}

/* The text with the number in place of each "@". */
static const char *numbered(app_world_t *f, const char *body, size_t n)
{
  slice_t rest = slice_str(body), part;
  buf_t b = buf_on(f->w.a, 4096);
  while (slice_split(&rest, '@', &part)) {
    buf_put(&b, part);
    if (rest.p) buf_printf(&b, "%zu", n);
  }
  must(buf_rc(&b), NULL);
  return arena_text(f->w.a, buf_slice(&b));
}

/* The arena ends a little later each time: refused, until there is enough. "@" in the body is another number each time. */
static void squeeze(app_world_t *f, const char *method, const char *path, const char *body, int want)
{
  int status = 0;
  size_t budget = 1;
  arena_t *a = arena_new(64 << 20);
  for (; status != want && budget < 256 * 1024; budget += budget < 8192 ? 40 : 400) {
    ask_t q = {.method = method, .path = path, .key = "root-key", .budget = budget};
    q.body = numbered(f, body, budget);
    arena_reset(a);
    http_response_t rp = app_ask(f, a, &q);
    status = rp.status;
    if (status != want && status != 413 && status != 500) fail_msg("%s %s %zu: %d", method, path, budget, status);
    whole(a, &rp);
  }
  arena_free(a);
  if (status != want || budget < 100) fail_msg("%s %s: %d at %zu", method, path, status, budget);
}

static void test_every_route_bears_an_arena_that_ends(void **state)
{
#define ROW                                                                                                         \
  "\"name\":\"n@\",\"common_name\":\"www.example.test\",\"sans\":[\"a.example.test\"],\"owner_id\":\"o-alice\","    \
  "\"team_id\":\"t-data\",\"issuer_id\":\"iss-local\",\"renewal_policy_id\":\"rp-standard\",\"target_ids\":[\"tgt-" \
  "a\"]"
  static const struct {
    const char *method, *path, *body;
    int status;
  } v[] = {
      {"POST", "/api/v1/certificates", "{\"id\":\"mc-@\"," ROW "}", 201},
      {"GET", "/api/v1/certificates?sort=name&agent_id=agent-a&fields=id,target_ids", "", 200},
      {"PUT", "/api/v1/certificates/mc-1", "{\"environment\":\"x\",\"target_ids\":[\"tgt-a\"]}", 200},
      {"POST", "/api/v1/certificates/mc-1/renew?force=true", "", 202},
      {"GET", "/api/v1/agents/agent-a/work", "", 200},
      {"POST", "/api/v1/teams", "{\"name\":\"t@\"}", 201},
      {"PUT", "/api/v1/teams/t-data", "{\"description\":\"d\"}", 200},
      {"POST", "/api/v1/owners", "{\"name\":\"o\",\"team_id\":\"t-none\"}", 400},
      {"POST", "/api/v1/renewal-policies", "{\"name\":\"Some Name @\"}", 201},
      {"POST", "/api/v1/agents", "{\"name\":\"a@\",\"hostname\":\"h\"}", 201},
      {"POST", "/api/v1/agents/agent-a/heartbeat", "{\"os\":\"linux\"}", 200},
      {"POST", "/api/v1/certificates/mc-1/deploy", "", 409},
      {"GET", "/api/v1/teams/t%2dnone", "", 404},
      {"DELETE", "/api/v1/agents/agent-a", "", 409},
  };
#undef ROW
  app_world_t *f = *state;
  world_agent(&f->w, "agent-a", "agent-key");
  world_target(&f->w, "tgt-a", "agent-a");
  certificate_t c = world_certificate(&f->w, "mc-1", "www.example.test");
  world_put(&f->w, &res_certificate, &c);
  for (size_t i = 0; i < COUNT_OF(v); i++) squeeze(f, v[i].method, v[i].path, v[i].body, v[i].status);
}

static void test_a_signer_that_is_gone_is_503(void **state)
{
  app_world_t *f = *state;
  arena_t *a = arena_new(1 << 20);
  world_signer_gone(&f->w);
  http_response_t rp = ask(f, a, "GET", "/ready", NULL, "", -1);
  assert_int_equal(rp.status, 503);
  arena_reset(a);
  rp = ask(f, a, "GET", "/.well-known/pki/ca/iss-local", NULL, "", -1);
  assert_int_equal(rp.status, 503);
  assert_non_null(strstr(arena_text(a, rp.body), "The signer is restarting"));
  assert_non_null(strstr(arena_text(a, rp.headers), "Retry-After: 1\r\n"));
  arena_reset(a);
  assert_int_equal(ask(f, a, "GET", "/health", NULL, "", -1).status, 200);
  arena_free(a);
}

int main(void)
{
#define WITH_APP(t) cmocka_unit_test_setup_teardown(t, app_setup, app_teardown)
  const struct CMUnitTest tests[] = {
      WITH_APP(test_refusals_come_before_the_body_is_read), WITH_APP(test_no_route_answers_without_a_key),
      WITH_APP(test_torture_of_a_read_and_of_writes),       WITH_APP(test_torture_of_a_refusal),
      WITH_APP(test_every_route_bears_an_arena_that_ends),  WITH_APP(test_a_signer_that_is_gone_is_503),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

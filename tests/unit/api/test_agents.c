/* Agents and their jobs over the API: who speaks for whom, registration, work, reports, waiting. */
#include "app.h"

#include <stdio.h>

static char *text(app_world_t *f, slice_t s) { return arena_text(f->w.a, s); }

static int agent_says(app_world_t *f, const char *method, const char *path, const char *body)
{
  return app_say(f, &(ask_t){.method = method, .path = path, .key = "agent-key", .body = body});
}

static void put_job(app_world_t *f, const char *id, const char *type, const char *status)
{
  job_t j = world_job(&f->w, id, "mc-1", type, status);
  world_put(&f->w, &res_job, &j);
}

static int setup(void **state)
{
  (void)app_setup(state);
  app_world_t *f = *state;
  world_agent(&f->w, "agent-a", "agent-key");
  world_agent(&f->w, "agent-b", "other-key");
  world_target(&f->w, "tgt-a", "agent-a");
  certificate_t c = world_certificate(&f->w, "mc-1", "www.example.test");
  world_put(&f->w, &res_certificate, &c);
  return 0;
}

/* --- who speaks for whom --- */

static void test_an_agent_speaks_for_itself_alone(void **state)
{
  static const struct {
    const char *method, *path, *body;
    int mine; /* what the agent itself is answered */
  } v[] = {{"POST", "heartbeat", "{}", 200},
           {"GET", "work", NULL, 200},
           {"POST", "csr", "{\"csr_pem\":\"x\"}", 202},
           {"GET", "certificates/mc-1", NULL, 404},
           {"POST", "jobs/job-none/status", "{\"status\":\"Running\"}", 404}};
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    ask_t q = {.method = v[i].method, .body = v[i].body, .key = "agent-key"};
    q.path = text(f, arena_printf(f->w.a, "/api/v1/agents/agent-a/%s", v[i].path));
    if (app_say(f, &q) != v[i].mine) fail_msg("%s: %s", q.path, f->body);
    q.key = "other-key";
    if (app_say(f, &q) != 403) fail_msg("%s: %s", q.path, f->body);
    q.key = "root-key"; /* an operator's key acts for any agent */
    if (app_say(f, &q) != v[i].mine) fail_msg("%s: %s", q.path, f->body);
  }
  app_want(f, 200, "DELETE", "/api/v1/agents/agent-b", NULL);
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    ask_t q = {.method = v[i].method, .body = v[i].body, .key = "other-key"};
    q.path = text(f, arena_printf(f->w.a, "/api/v1/agents/agent-b/%s", v[i].path));
    if (app_say(f, &q) != 410) fail_msg("%s: %s", q.path, f->body);
  }
}

/* --- registration and retirement --- */

static void test_the_bootstrap_token_registers(void **state)
{
  app_world_t *f = *state;
  ask_t q = {.method = "POST", .path = "/api/v1/agents", .key = "token"};
  q.body = "{\"name\":\"n-1\",\"hostname\":\"h.test\"}";
  assert_int_equal(app_say(f, &q), 401);
  must(secret_alloc(&f->w.conf.agent_bootstrap_token, 5), NULL);
  memcpy(f->w.conf.agent_bootstrap_token.p, "token", 5);
  assert_int_equal(app_say(f, &q), 201);
  app_holds(f, "\"api_key\":\"");
  assert_int_equal(world_number(&f->w, "select count(*) from audit_events where actor = 'bootstrap-token'"), 1);
  q.key = "toker";
  assert_int_equal(app_say(f, &q), 401);
  q.key = NULL;
  q.headers = "Authorization: Basics token\r\n";
  assert_int_equal(app_say(f, &q), 401);
  app_want(f, 409, "POST", "/api/v1/agents", q.body);
  app_want(f, 400, "POST", "/api/v1/agents", "{\"name\":\"n-2\"}");
  secret_fini(&f->w.conf.agent_bootstrap_token);
  f->w.conf.agent_bootstrap_token = (secret_t){0};
}

static void test_force_and_its_reason(void **state)
{
  static const struct {
    const char *query, *says;
    int status;
  } v[] = {{"", "\"active_targets\":1,\"active_certificates\":0,\"pending_jobs\":0", 409},
           {"?force=false", "blocked_by_dependencies", 409},
           {"?force=0", "blocked_by_dependencies", 409},
           {"?force=", "blocked_by_dependencies", 409},
           {"?force=maybe", "true or false", 400},
           {"?force=true", "required with force", 400},
           {"?force=1", "required with force", 400},
           {"?force=true&reason=", "required with force", 400},
           {"?force=1&reason=old", "\"cascade\":true", 200},
           {"?force=true&reason=old", "", 204}};
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    app_want(f, v[i].status, "DELETE", text(f, arena_printf(f->w.a, "/api/v1/agents/agent-a%s", v[i].query)), NULL);
    app_holds(f, v[i].says);
  }
  static char reason[1024 + 2];
  memset(reason, 'r', sizeof reason - 1);
  app_want(f, 400, "DELETE", text(f, arena_printf(f->w.a, "/api/v1/agents/agent-b?reason=%s", reason)), NULL);
  app_holds(f, "1024 characters");
  app_want(f, 200, "DELETE", text(f, arena_printf(f->w.a, "/api/v1/agents/agent-b?reason=%s", reason + 1)), NULL);
  app_holds(f, "\"already_retired\":false,\"cascade\":false");
  app_want(f, 404, "DELETE", "/api/v1/agents/agent-none", NULL);
  app_want(f, 403, "DELETE", "/api/v1/agents/server-scanner", NULL);
}

/* --- what the agent itself calls --- */

static void test_a_heartbeat_takes_what_it_can_read(void **state)
{
  static const char *const useless[] = {"", "not JSON", "[]", "{\"os\":7}"};
  app_world_t *f = *state;
  assert_int_equal(agent_says(f, "POST", "/api/v1/agents/agent-a/heartbeat", "{\"os\":\"linux\",\"version\":\"1\"}"),
                   200);
  for (size_t i = 0; i < COUNT_OF(useless); i++) {
    f->w.now = us_add_s(f->w.now, 1);
    assert_int_equal(agent_says(f, "POST", "/api/v1/agents/agent-a/heartbeat", useless[i]), 200);
    assert_int_equal(world_number(&f->w, "select last_heartbeat_at from agents where os = 'linux'"), f->w.now.us);
  }
}

static int work(app_world_t *f, const char *prefer, bool wait_over)
{
  return app_say(f, &(ask_t){.method = "GET",
                             .path = "/api/v1/agents/agent-a/work",
                             .key = "agent-key",
                             .headers = prefer,
                             .wait_over = wait_over});
}

static void test_a_poll_waits_only_when_asked_and_with_nothing_to_do(void **state)
{
  app_world_t *f = *state;
  assert_int_equal(work(f, NULL, false), 200);
  app_holds(f, "{\"jobs\":[],\"count\":0}");
  assert_null(strstr(f->headers, "Preference-Applied"));
  assert_int_equal(work(f, "Prefer: wait=0\r\n", false), 200);
  assert_int_equal(work(f, "Prefer: wait=5\r\n", false), 0); /* parked */
  assert_int_equal(work(f, "Prefer: wait=5\r\n", true), 200);
  assert_non_null(strstr(f->headers, "Preference-Applied: wait=5\r\n"));
  put_job(f, "job-csr", "Issuance", "AwaitingCSR");
  assert_int_equal(work(f, "Prefer: wait=5\r\n", false), 200);
  app_holds(
      f, "\"id\":\"job-csr\",\"type\":\"Issuance\",\"certificate_id\":\"mc-1\",\"common_name\":\"www.example.test\"");
  app_holds(f, "\"count\":1}");
  assert_false(app_has(f, "target_"));
  put_job(f, "job-dep", "Deployment", "Pending");
  assert_int_equal(work(f, NULL, false), 200);
  app_holds(f, "\"target_id\":\"tgt-a\",\"target_type\":\"NGINX\",\"target_config\":{},\"status\":\"Running\"");
  app_holds(f, "\"count\":2}");
}

static void test_prefer_is_read_as_a_list(void **state)
{
  static const struct {
    const char *value;
    int64_t ms;
  } v[] = {{"wait=5", 5000},
           {"wait=49", 49000},
           {"wait=50", 50000},
           {"wait=51", 50000},
           {"respond-async, wait=7", 7000},
           {"wait=x, wait=3", 3000},
           {"wait=", 0},
           {"waits=5", 0},
           {"wait=-1", 0}};
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    arena_t *a = arena_new(1 << 20);
    char header[64];
    (void)snprintf(header, sizeof header, "Prefer: %s\r\n", v[i].value);
    http_response_t rp = app_ask(
        f, a, &(ask_t){.method = "GET", .path = "/api/v1/agents/agent-a/work", .key = "agent-key", .headers = header});
    if (rp.park != (v[i].ms > 0) || rp.park_ms != v[i].ms) fail_msg("%s: %lld", v[i].value, (long long)rp.park_ms);
    assert_true(!rp.park || (rp.park_kind == 'a' && slice_is(rp.park_key, "agent-a")));
    arena_free(a);
  }
}

static void test_requests_of_agents(void **state)
{
  static const struct {
    const char *body;
    int status;
  } v[] = {{"{\"csr_pem\":\"x\"}", 202}, /* without a certificate: taken note of */
           {"{\"csr_pem\":\"\"}", 400},
           {"{}", 400},
           {"{\"csr_pem\":7}", 400},
           {"{\"csr_pem\":\"x\",\"certificate_id\":\"mc-none\"}", 404},
           {"{\"csr_pem\":\"x\",\"certificate_id\":\"mc-1\"}", 404}}; /* no job waits */
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++)
    if (agent_says(f, "POST", "/api/v1/agents/agent-a/csr", v[i].body) != v[i].status)
      fail_msg("%s: %s", v[i].body, f->body);
  put_job(f, "job-csr", "Issuance", "AwaitingCSR");
  assert_int_equal(agent_says(f, "POST", "/api/v1/agents/agent-a/csr", v[5].body), 400);
  assert_int_equal(world_number(&f->w, "select count(*) from jobs where status = 'Failed'"), 1);
}

static void test_a_pickup_is_of_this_agents_newest(void **state)
{
  app_world_t *f = *state;
  assert_int_equal(agent_says(f, "GET", "/api/v1/agents/agent-a/certificates/mc-1", NULL), 404);
  for (int i = 0; i < 2; i++) {
    version_t v = {.id = arena_printf(f->w.a, "certver-%d", i),
                   .certificate_id = S("mc-1"),
                   .serial_number = arena_printf(f->w.a, "%d", i),
                   .fingerprint_sha256 = arena_printf(f->w.a, "f%d", i),
                   .pem_chain = arena_printf(f->w.a, "pem %d", i),
                   .agent_id = S("agent-a"),
                   .not_before = f->w.now,
                   .not_after = f->w.now,
                   .created_at = us_add_s(f->w.now, i)};
    world_put(&f->w, &res_version, &v);
  }
  assert_int_equal(agent_says(f, "GET", "/api/v1/agents/agent-a/certificates/mc-1", NULL), 200);
  app_holds(f, "{\"certificate_pem\":\"pem 1\"}");
  app_want(f, 404, "GET", "/api/v1/agents/agent-b/certificates/mc-1", NULL);
}

static void test_a_report_needs_a_status(void **state)
{
  app_world_t *f = *state;
  const char *path = "/api/v1/agents/agent-a/jobs/job-dep/status";
  put_job(f, "job-dep", "Deployment", "Pending");
  assert_int_equal(work(f, NULL, false), 200);
  assert_int_equal(agent_says(f, "POST", path, "{}"), 400);
  assert_int_equal(agent_says(f, "POST", path, "{\"status\":\"\"}"), 400);
  assert_int_equal(agent_says(f, "POST", path, "{\"status\":7}"), 400);
  assert_int_equal(agent_says(f, "POST", path, "{\"status\":\"Failed\",\"error\":7}"), 400);
  assert_int_equal(agent_says(f, "POST", path, "{\"status\":\"Completed\"}"), 200);
  app_holds(f, "{\"status\":\"updated\"}");
  assert_int_equal(world_number(&f->w, "select count(*) from jobs where status = 'Completed'"), 1);
}

/* --- jobs --- */

static int job(app_world_t *f, const char *prefer, bool wait_over)
{
  return app_say(f, &(ask_t){.method = "GET",
                             .path = "/api/v1/jobs/job-dep",
                             .key = "root-key",
                             .headers = prefer,
                             .wait_over = wait_over});
}

static void test_a_job_is_waited_for_while_it_lives(void **state)
{
  app_world_t *f = *state;
  put_job(f, "job-dep", "Deployment", "Pending");
  app_want(f, 404, "GET", "/api/v1/jobs/job-none", NULL);
  assert_int_equal(job(f, NULL, false), 200);
  assert_null(strstr(f->headers, "Preference-Applied"));
  assert_int_equal(job(f, "Prefer: wait=0\r\n", false), 200);
  assert_int_equal(job(f, "Prefer: wait=5\r\n", false), 0);
  assert_int_equal(job(f, "Prefer: wait=5\r\n", true), 200);
  assert_non_null(strstr(f->headers, "Preference-Applied: wait=5\r\n"));
  world_run(&f->w, "jobs", "update jobs set status = 'Completed', next_run_at = null");
  assert_int_equal(job(f, "Prefer: wait=5\r\n", false), 200);
  assert_non_null(strstr(f->headers, "Preference-Applied: wait=5\r\n"));
}

static void test_cancelling_and_beginning_again(void **state)
{
  app_world_t *f = *state;
  put_job(f, "job-dep", "Deployment", "Pending");
  app_want(f, 404, "POST", "/api/v1/jobs/job-none/cancel", NULL);
  app_want(f, 404, "POST", "/api/v1/jobs/job-none/retry", NULL);
  app_want(f, 409, "POST", "/api/v1/jobs/job-dep/retry", NULL);
  app_holds(f, "cannot retry job with status Pending");
  world_run(&f->w, "jobs", "update jobs set status = 'Failed'");
  app_want(f, 409, "POST", "/api/v1/jobs/job-dep/cancel", NULL);
  app_holds(f, "cannot cancel job with status Failed");
  app_want(f, 200, "POST", "/api/v1/jobs/job-dep/retry", NULL);
  app_holds(f, "job_retried");
  assert_int_equal(work(f, NULL, false), 200);
  app_holds(f, "\"count\":1}");
  app_want(f, 200, "POST", "/api/v1/jobs/job-dep/cancel", NULL);
  app_holds(f, "job_cancelled");
  assert_int_equal(work(f, NULL, false), 200);
  app_holds(f, "\"count\":0}");
}

static void test_what_the_endpoint_showed(void **state)
{
#define SEEN(more) "{\"target_id\":\"tgt-a\",\"expected_fingerprint\":\"ab\"" more "}"
  app_world_t *f = *state;
  static char length[129];
  memset(length, 'f', sizeof length);
  struct {
    const char *body;
    int status;
  } v[] = {{"{\"expected_fingerprint\":\"ab\"}", 400},
           {"{\"target_id\":\"tgt-a\"}", 400},
           {"{", 400},
           {SEEN(",\"verified\":true"), 400},
           {SEEN(",\"verified\":7"), 400},
           {SEEN(",\"verified\":true,\"actual_fingerprint\":\"ab\""), 200},
           {SEEN(",\"verified\":false"), 200},
           {text(f, arena_printf(f->w.a, SEEN(",\"actual_fingerprint\":\"%.129s\""), length)), 400},
           {text(f, arena_printf(f->w.a, SEEN(",\"actual_fingerprint\":\"%.128s\""), length)), 200},
           {text(f, arena_printf(f->w.a, "{\"target_id\":\"t\",\"expected_fingerprint\":\"%.129s\"}", length)), 400},
           {text(f, arena_printf(f->w.a, "{\"target_id\":\"t\",\"expected_fingerprint\":\"%.128s\"}", length)), 200}};
  put_job(f, "job-dep", "Deployment", "Pending");
  for (size_t i = 0; i < COUNT_OF(v); i++) app_want(f, v[i].status, "POST", "/api/v1/jobs/job-dep/verify", v[i].body);
  app_want(f, 404, "POST", "/api/v1/jobs/job-none/verify", v[5].body);
  app_want(f, 200, "POST", "/api/v1/jobs/job-dep/verify", v[5].body);
  app_holds(f, "\"job_id\":\"job-dep\",\"verified\":true");
  app_want(f, 200, "GET", "/api/v1/jobs/job-dep/verification", NULL);
  app_holds(f, "\"actual_fingerprint\":\"ab\",\"verified\":true");
  assert_false(app_has(f, "error"));
  app_want(f, 200, "POST", "/api/v1/jobs/job-dep/verify",
           SEEN(",\"verified\":true,\"actual_fingerprint\":\"ab\",\"error\":\"no answer\""));
  app_holds(f, "\"verified\":false");
  app_want(f, 200, "GET", "/api/v1/jobs/job-dep/verification", NULL);
  app_holds(f, "\"verified\":false");
  app_holds(f, "\"error\":\"no answer\"");
  app_want(f, 404, "GET", "/api/v1/jobs/job-none/verification", NULL);
#undef SEEN
}

int main(void)
{
#define WITH_AGENTS(t) cmocka_unit_test_setup_teardown(t, setup, app_teardown)
  const struct CMUnitTest tests[] = {
      WITH_AGENTS(test_an_agent_speaks_for_itself_alone),
      WITH_AGENTS(test_the_bootstrap_token_registers),
      WITH_AGENTS(test_force_and_its_reason),
      WITH_AGENTS(test_a_heartbeat_takes_what_it_can_read),
      WITH_AGENTS(test_a_poll_waits_only_when_asked_and_with_nothing_to_do),
      WITH_AGENTS(test_prefer_is_read_as_a_list),
      WITH_AGENTS(test_requests_of_agents),
      WITH_AGENTS(test_a_pickup_is_of_this_agents_newest),
      WITH_AGENTS(test_a_report_needs_a_status),
      WITH_AGENTS(test_a_job_is_waited_for_while_it_lives),
      WITH_AGENTS(test_cancelling_and_beginning_again),
      WITH_AGENTS(test_what_the_endpoint_showed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

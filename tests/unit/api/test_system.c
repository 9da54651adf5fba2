/* Probes, who the caller is, counts, the CA's certificate, and the answers that the server gives by itself. */
#include "app.h"

static const char *value(app_world_t *f, const char *key)
{
  const char *at = strstr(f->body, arena_text(f->w.a, arena_printf(f->w.a, "\"%s\":", key)));
  if (!at) fail_msg("no %s in %s", key, f->body);
  return strchr(at, ':') + 1;
}

static void test_probes_and_build_facts(void **state)
{
  app_world_t *f = *state;
  app_want(f, 200, "GET", "/health", NULL);
  app_holds(f, "healthy");
  app_want(f, 200, "GET", "/ready", NULL);
  app_holds(f, "{\"status\":\"ready\",\"db\":\"reachable\",\"sandbox\":\"off\"}");
  f->w.conf.sandbox = S("on");
  app_want(f, 200, "GET", "/ready", NULL);
  app_holds(f, "{\"status\":\"ready\",\"db\":\"reachable\"}");
  app_want(f, 200, "GET", "/api/v1/version", NULL);
  app_holds(f, "\"go_version\":");
  app_want(f, 200, "GET", "/api/v1/auth/info", NULL);
  app_holds(f, "{\"auth_type\":\"api-key\",\"required\":true,\"oidc_providers\":[]}");
  f->w.conf.auth_type = S("none");
  app_want(f, 200, "GET", "/api/v1/auth/info", NULL);
  app_holds(f, "\"required\":false");
  app_want(f, 200, "GET", "/api/v1/openapi.json", NULL);
}

static void test_who_the_caller_is(void **state)
{
  app_world_t *f = *state;
  ask_t q = {.method = "GET", .path = "/api/v1/auth/check", .key = "reader-key"};
  app_want(f, 200, "GET", q.path, NULL);
  app_holds(f, "\"user\":\"root\",\"admin\":true,\"actor_id\":\"root\",\"actor_type\":\"APIKey\"");
  app_holds(f, "\"admin_via_role\":true");
  app_holds(f, "{\"permission\":\"cert.read\",\"scope_type\":\"global\"}");
  app_holds(f, "{\"permission\":\"metrics.read\",\"scope_type\":\"global\"}");
  assert_int_equal(app_say(f, &q), 200);
  app_holds(f, "\"admin\":false");
  app_holds(f, "\"admin_via_role\":false");
  assert_false(app_has(f, "cert.edit"));
  world_run(&f->w, "actor_roles",
            "update actor_roles set role_id = 'r-operator', scope_type = 'issuer', scope_id = 'iss-local' "
            "where actor_id = 'reader'");
  q.path = "/api/v1/auth/me";
  assert_int_equal(app_say(f, &q), 200);
  app_holds(f, "{\"permission\":\"issuer.read\",\"scope_type\":\"issuer\",\"scope_id\":\"iss-local\"}");
  assert_false(app_has(f, "global"));
  q.path = "/api/v1/issuers/iss-local"; /* the scope that the path names */
  assert_int_equal(app_say(f, &q), 200);
  q.path = "/api/v1/issuers/iss-other";
  assert_int_equal(app_say(f, &q), 403);
  q.path = "/api/v1/profiles/iss-local";
  assert_int_equal(app_say(f, &q), 403);
  q.path = "/api/v1/teams/iss-local";
  assert_int_equal(app_say(f, &q), 403);
  world_run(&f->w, "actor_roles",
            "update actor_roles set scope_type = 'profile', scope_id = 'prof-smime' where actor_id = 'reader'");
  q.path = "/api/v1/profiles/prof-smime";
  assert_int_equal(app_say(f, &q), 200);
  q.path = "/api/v1/issuers/prof-smime";
  assert_int_equal(app_say(f, &q), 403);
}

static void test_only_a_missing_key_is_told_how_to_bring_one(void **state)
{
  app_world_t *f = *state;
  ask_t q = {.method = "GET", .path = "/api/v1/teams"};
  assert_int_equal(app_say(f, &q), 401);
  assert_non_null(strstr(f->headers, "WWW-Authenticate: Bearer"));
  q.key = "nobody";
  assert_int_equal(app_say(f, &q), 401);
  assert_null(strstr(f->headers, "WWW-Authenticate"));
  assert_int_equal(world_number(&f->w, "select count(*) from audit_events where action = 'auth.denied'"), 2);
}

static void test_counts(void **state)
{
  static const char *const statuses[] = {"Active", "Active", "Active", "Expired", "Revoked", "Expired"};
  static const char *const groups[] = {"\"gauge\":{", "\"counter\":{", "\"uptime\":{"};
  app_world_t *f = *state;
  world_agent(&f->w, "agent-a", "a key");
  world_agent(&f->w, "agent-b", "b key");
  world_run(&f->w, "agents", "update agents set last_heartbeat_at = 1 where id = 'agent-b'");
  for (size_t i = 0; i < COUNT_OF(statuses); i++) {
    certificate_t c = world_certificate(&f->w, arena_text(f->w.a, arena_printf(f->w.a, "mc-%zu", i)), "a.test");
    c.status = slice_str(statuses[i]);
    c.expires_at = us_add_s(f->w.now, slice_is(c.status, "Expired") ? -1 : i == 0 ? 86400 : 90 * 86400);
    world_put(&f->w, &res_certificate, &c);
  }
  app_want(f, 200, "GET", "/api/v1/stats/summary", NULL);
  app_holds(
      f, "\"total_certificates\":6,\"expiring_certificates\":1,\"expired_certificates\":2,\"revoked_certificates\":1,"
         "\"active_agents\":1,\"offline_agents\":1,\"total_agents\":2,");
  f->w.now = us_add_s(f->w.now, 90);
  app_want(f, 200, "GET", "/api/v1/metrics", NULL);
  app_holds(f, "\"certificate_total\":6,\"certificate_active\":2,");
  app_holds(f, "\"uptime_seconds\":90,");
  for (size_t i = 0; i < COUNT_OF(groups); i++) {
    const char *at = strstr(f->body, groups[i]);
    assert_non_null(at);
    assert_null(strstr(at + 1, groups[i])); /* each once */
  }
  assert_true(strstr(f->body, "\"job_pending\"") < strstr(f->body, groups[1]));
  assert_true(strstr(f->body, "\"job_completed_total\"") > strstr(f->body, groups[1]));
  assert_int_equal(strncmp(value(f, "principals"), "4,", 2), 0);
}

static void test_the_cas_certificate_as_asked_for(void **state)
{
  static const struct {
    const char *accept;
    bool pem;
  } v[] = {{NULL, false},
           {"Accept: */*\r\n", false},
           {"Accept: application/x-pem-file\r\n", true},
           {"Accept: text/html, application/pem-certificate-chain;q=0.5\r\n", true},
           {"Accept: application/pkix-cert\r\n", false}};
  app_world_t *f = *state;
  arena_t *a = arena_new(1 << 20);
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    arena_reset(a);
    http_response_t rp = app_ask(
        f, a, &(ask_t){.method = "GET", .path = "/.well-known/pki/ca/iss-local", .headers = v[i].accept});
    assert_int_equal(rp.status, 200);
    assert_int_equal(slice_starts(rp.body, S("-----BEGIN CERTIFICATE-----\n")), v[i].pem);
    assert_int_equal(rp.body.p[0] == 0x30, !v[i].pem);
    assert_non_null(strstr(arena_text(a, rp.headers), v[i].pem ? "pem-certificate-chain" : "pkix-cert"));
  }
  arena_free(a);
  app_want(f, 404, "GET", "/.well-known/pki/ca/iss-none", NULL);
}

/* --- what the server answers without a handler --- */

static const char *refused(app_world_t *f, int status, const char *request, const char **ret_headers)
{
  http1_head_t head = {0};
  size_t scan = 0;
  buf_t headers = buf_on(f->w.a, 1024), body = buf_on(f->w.a, 4096);
  err_t e = {0};
  if (request) must(http1_request(slice_str(request), &scan, &head, &e), &e);
  f->http.refuse(f->http.self, status, request ? &head : NULL, S("r-2"), &headers, &body);
  *ret_headers = arena_text(f->w.a, buf_slice(&headers));
  return arena_text(f->w.a, buf_slice(&body));
}

static void test_refusals_of_the_server_itself(void **state)
{
  app_world_t *f = *state;
  const char *headers;
  assert_string_equal(refused(f, 405, "PATCH /api/v1/teams HTTP/1.1\r\nHost: x\r\n\r\n", &headers),
                      "{\"error\":\"Method Not Allowed\",\"request_id\":\"r-2\"}\n");
  assert_string_equal(headers, "Allow: GET, POST\r\n");
  (void)refused(f, 405, "POST /api/v1/teams/x HTTP/1.1\r\nHost: x\r\n\r\n", &headers);
  assert_string_equal(headers, "Allow: GET, PUT, DELETE\r\n");
  (void)refused(f, 404, "GET /api/v1/teams/x HTTP/1.1\r\nHost: x\r\n\r\n", &headers);
  assert_string_equal(headers, "");
  (void)refused(f, 405, NULL, &headers);
  assert_string_equal(headers, "");
}

static http_plan_t planned(app_world_t *f, const char *request)
{
  http1_head_t head;
  http_plan_t plan = {0};
  size_t scan = 0;
  err_t e = {0};
  must(http1_request(slice_str(request), &scan, &head, &e), &e);
  f->http.plan(f->http.self, &head, &plan);
  return plan;
}

static void test_what_a_head_is_allowed(void **state)
{
  app_world_t *f = *state;
#define HEAD(line, more) line " HTTP/1.1\r\nHost: x\r\n" more "\r\n"
  assert_int_equal(planned(f, HEAD("GET /nothing", "")).status, 404);
  assert_int_equal(planned(f, HEAD("DELETE /health", "")).status, 405);
  assert_int_equal(planned(f, HEAD("POST /api/v1/teams", "")).body_max, 1024 * 1024);
  f->w.conf.max_body_size = 1000;
  assert_int_equal(planned(f, HEAD("POST /api/v1/teams", "")).body_max, 1000);
  assert_int_equal(planned(f, HEAD("GET /health", "")).body_max, 0);
  assert_true(planned(f, HEAD("GET /health", "")).on_loop);
  assert_false(planned(f, HEAD("GET /ready", "If-None-Match: *\r\n")).on_loop);
  assert_true(planned(f, HEAD("GET /api/v1/teams", "If-None-Match: *\r\n")).on_loop);
  assert_false(planned(f, HEAD("GET /api/v1/teams", "")).on_loop);
#undef HEAD
}

static void test_a_broken_escape_in_a_path(void **state)
{
  app_world_t *f = *state;
  app_want(f, 400, "GET", "/api/v1/teams/%zz", NULL);
  app_holds(f, "percent escape");
  app_want(f, 200, "GET", "/api/v1/teams/t%2ddata", NULL);
}

int main(void)
{
#define WITH_APP(t) cmocka_unit_test_setup_teardown(t, app_setup, app_teardown)
  const struct CMUnitTest tests[] = {
      WITH_APP(test_probes_and_build_facts),
      WITH_APP(test_who_the_caller_is),
      WITH_APP(test_only_a_missing_key_is_told_how_to_bring_one),
      WITH_APP(test_counts),
      WITH_APP(test_the_cas_certificate_as_asked_for),
      WITH_APP(test_refusals_of_the_server_itself),
      WITH_APP(test_what_a_head_is_allowed),
      WITH_APP(test_a_broken_escape_in_a_path),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Certificates over the API: their targets, filters, what is asked of one, and bodies that count only as JSON. */
#include "app.h"

static char *text(app_world_t *f, slice_t s) { return arena_text(f->w.a, s); }

#define ROW                                                                                                         \
  "\"common_name\":\"www.example.test\",\"owner_id\":\"o-bob\",\"team_id\":\"t-data\",\"issuer_id\":\"iss-local\"," \
  "\"renewal_policy_id\":\"rp-standard\""

static void put(app_world_t *f, const char *id, const char *more)
{
  app_want(f, 201, "POST", "/api/v1/certificates",
           text(f, arena_printf(f->w.a, "{\"id\":\"%s\",\"name\":\"%s\"," ROW "%s}", id, id, more)));
}

static void put_targets(app_world_t *f, int n)
{
  world_agent(&f->w, "agent-a", "agent-key");
  for (int i = 0; i < n; i++) world_target(&f->w, text(f, arena_printf(f->w.a, "tgt-%d", i)), "agent-a");
}

static void test_what_a_new_certificate_holds(void **state)
{
  app_world_t *f = *state;
  put(f, "mc-1", "");
  app_holds(f, "\"expires_at\":\"0001-01-01T00:00:00Z\"");
  assert_false(app_has(f, "last_renewal_at") || app_has(f, "last_deployment_at"));
  put(f, "mc-2", ",\"expires_at\":\"2030-01-02T03:04:05Z\"");
  app_holds(f, "\"expires_at\":\"2030-01-02T03:04:05Z\"");
  world_run(&f->w, "managed_certificates", "update managed_certificates set last_renewal_at = 1000000, expires_at = 0");
  app_want(f, 200, "PUT", "/api/v1/certificates/mc-1", "{\"environment\":\"x\"}");
  app_holds(f, "\"last_renewal_at\":\"1970-01-01T00:00:01Z\"");
  app_holds(f, "\"expires_at\":\"1970-01-01T00:00:00Z\"");
}

static void test_tags_are_an_object_of_texts(void **state)
{
  static const struct {
    const char *tags;
    int status;
  } v[] = {{"{}", 200}, {"{\"a\":\"b\"}", 200}, {"[]", 400}, {"{\"a\":1}", 400}, {"{\"a\":\"b\",\"c\":null}", 400}};
  app_world_t *f = *state;
  put(f, "mc-1", "");
  for (size_t i = 0; i < COUNT_OF(v); i++)
    app_want(f, v[i].status, "PUT", "/api/v1/certificates/mc-1",
             text(f, arena_printf(f->w.a, "{\"tags\":%s}", v[i].tags)));
}

static void test_targets_of_several_certificates(void **state)
{
  app_world_t *f = *state;
  put_targets(f, 5);
  put(f, "mc-1", ",\"target_ids\":[\"tgt-0\",\"tgt-1\",\"tgt-2\",\"tgt-3\",\"tgt-4\"]");
  put(f, "mc-2", "");
  put(f, "mc-3", ",\"target_ids\":[\"tgt-1\",\"tgt-2\",\"tgt-3\"]");
  app_want(f, 200, "GET", "/api/v1/certificates?fields=target_ids&sort=name", NULL);
  app_holds(f, "[{\"target_ids\":[\"tgt-0\",\"tgt-1\",\"tgt-2\",\"tgt-3\",\"tgt-4\"]},{\"target_ids\":[]},"
               "{\"target_ids\":[\"tgt-1\",\"tgt-2\",\"tgt-3\"]}]");
  app_want(f, 400, "POST", "/api/v1/certificates", "{\"name\":\"n\"," ROW ",\"target_ids\":[\"tgt-0\",\"tgt-none\"]}");
  app_holds(f, "tgt-none");
  app_want(f, 200, "GET", "/api/v1/certificates/mc-3/deployments", NULL);
  app_holds(f, "\"total\":3}");
  app_holds(f, "\"id\":\"tgt-1\"");
  app_holds(f, "\"id\":\"tgt-3\"");
  app_want(f, 200, "GET", "/api/v1/certificates/mc-2/deployments", NULL);
  app_holds(f, "{\"data\":[],\"total\":0}");
  app_want(f, 404, "GET", "/api/v1/certificates/mc-9/deployments", NULL);
}

/* The most targets that a certificate may have, each with an agent of its own. */
static void test_a_thousand_targets(void **state)
{
  app_world_t *f = *state;
  buf_t b = buf_on(f->w.a, 65536);
  put_targets(f, 1);
  world_run(&f->w, "agents",
            "with recursive k(i) as (select 1 union all select i + 1 from k where i < 1001) insert into agents "
            "(id, name, hostname, status, api_key_hash) select 'agent-' || i, 'agent-' || i, 'h', 'Online', '' from k");
  world_run(
      &f->w, "deployment_targets",
      "insert into deployment_targets (id, name, type, agent_id) select 'many-' || id, id, 'NGINX', id from agents");
  buf_puts(&b, ",\"target_ids\":[");
  for (int i = 1; i <= 1000; i++) buf_printf(&b, "%s\"many-agent-%d\"", i > 1 ? "," : "", i);
  slice_t fits = arena_printf(f->w.a, "%.*s]", SLICE_ARG(buf_slice(&b)));
  put(f, "mc-1", text(f, fits));
  assert_int_equal(world_number(&f->w, "select count(*) from jobs where type = 'Issuance'"), 1000);
  app_want(f, 200, "GET", "/api/v1/certificates/mc-1/deployments", NULL);
  app_holds(f, "\"total\":1000}");
  app_want(f, 200, "GET", "/api/v1/certificates/mc-1", NULL);
  app_holds(f, "many-agent-1000");
  put(f, "mc-2", "");
  put(f, "mc-3", "");
  world_run(&f->w, "certificate_target_mappings",
            "insert into certificate_target_mappings (certificate_id, target_id) select c.id, m.target_id from "
            "managed_certificates c, certificate_target_mappings m where c.id <> 'mc-1'");
  app_want(f, 200, "GET", "/api/v1/certificates?fields=target_ids", NULL);
  app_holds(f, "\"many-agent-999\"]}],\"total\":3");
  world_run(&f->w, "managed_certificates", "update managed_certificates set last_renewal_at = 1000000");
  app_want(f, 202, "POST", "/api/v1/certificates/mc-1/deploy", "");
  app_holds(f, "\"jobs\":1000");
  world_run(&f->w, "jobs", "delete from jobs");
  app_want(f, 202, "POST", "/api/v1/certificates/mc-1/renew", "");
  assert_int_equal(world_number(&f->w, "select count(*) from jobs where type = 'Renewal'"), 1000);
  app_want(f, 200, "PUT", "/api/v1/certificates/mc-1", text(f, arena_printf(f->w.a, "{%s}", text(f, fits) + 1)));
  app_want(
      f, 400, "POST", "/api/v1/certificates",
      text(f, arena_printf(f->w.a, "{\"name\":\"n\"," ROW "%.*s,\"many-agent-1001\"]}", SLICE_ARG(buf_slice(&b)))));
  app_holds(f, "target_ids");
}

static void test_a_change_of_targets(void **state)
{
  app_world_t *f = *state;
  put_targets(f, 2);
  put(f, "mc-1", ",\"target_ids\":[\"tgt-0\"]");
  app_want(f, 200, "PUT", "/api/v1/certificates/mc-1", "{\"environment\":\"x\"}");
  app_holds(f, "\"target_ids\":[\"tgt-0\"]");
  app_want(f, 200, "PUT", "/api/v1/certificates/mc-1", "{\"target_ids\":[\"tgt-1\"]}");
  app_holds(f, "\"target_ids\":[\"tgt-1\"]");
  app_want(f, 200, "PUT", "/api/v1/certificates/mc-1", "{\"environment\":\"y\",\"target_ids\":[]}");
  app_want(f, 200, "GET", "/api/v1/certificates/mc-1", NULL);
  app_holds(f, "\"target_ids\":[]");
  static const char *const changes[] = {"environment", "target_ids", "environment,target_ids"};
  for (size_t i = 0; i < COUNT_OF(changes); i++)
    assert_int_equal(world_number(&f->w, text(f, arena_printf(f->w.a,
                                                              "select count(*) from audit_events where details = "
                                                              "'{\"changes\":\"%s\"}'",
                                                              changes[i]))),
                     1);
  app_want(f, 404, "PUT", "/api/v1/certificates/mc-9", "{}");
  app_want(f, 204, "PUT", "/api/v1/certificates/mc-1/targets/tgt-0", NULL);
  app_want(f, 204, "PUT", "/api/v1/certificates/mc-1/targets/tgt-0", NULL);
  app_want(f, 404, "PUT", "/api/v1/certificates/mc-9/targets/tgt-0", NULL);
  app_want(f, 204, "DELETE", "/api/v1/certificates/mc-1/targets/tgt-0", NULL);
  app_want(f, 404, "DELETE", "/api/v1/certificates/mc-1/targets/tgt-0", NULL);
  app_holds(f, "Target is not mapped");
}

static void test_filters(void **state)
{
  static const struct {
    const char *query;
    int total;
  } v[] = {{"expires_before=2030-01-01T00:00:00Z", 1},
           {"expires_before=2030-01-01T00:00:01Z", 2},
           {"expires_after=2030-01-01T00:00:00Z", 0},
           {"expires_after=2029-12-31T23:59:59Z", 1},
           {"expires_after=yesterday", 2},
           {"expires_after=", 2},
           {"created_after=2001-01-01T00:00:00Z", 2},
           {"updated_after=2099-01-01T00:00:00Z", 0},
           {"profile_id=prof-smime", 1},
           {"profile_id=", 2},
           {"agent_id=agent-a", 1},
           {"agent_id=agent-b", 0},
           {"agent_id=", 2},
           {"agent_id=agent-a&profile_id=prof-smime", 0}};
  app_world_t *f = *state;
  put_targets(f, 2);
  put(f, "mc-1", ",\"expires_at\":\"2030-01-01T00:00:00Z\",\"target_ids\":[\"tgt-0\",\"tgt-1\"]");
  put(f, "mc-2", ",\"expires_at\":\"2029-01-01T00:00:00Z\",\"certificate_profile_id\":\"prof-smime\"");
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    app_want(f, 200, "GET", text(f, arena_printf(f->w.a, "/api/v1/certificates?%s", v[i].query)), NULL);
    app_holds(f, text(f, arena_printf(f->w.a, "\"total\":%d,", v[i].total)));
  }
}

static void test_versions(void **state)
{
  app_world_t *f = *state;
  put(f, "mc-1", "");
  put(f, "mc-2", "");
  app_want(f, 404, "GET", "/api/v1/certificates/mc-9/versions", NULL);
  app_want(f, 200, "GET", "/api/v1/certificates/mc-1/versions?per_page=7", NULL);
  app_holds(f, "{\"data\":[],\"total\":0,\"page\":1,\"per_page\":7}");
  for (int i = 0; i < 3; i++) {
    version_t v = {.id = arena_printf(f->w.a, "certver-%d", i),
                   .certificate_id = i < 2 ? S("mc-1") : S("mc-2"),
                   .serial_number = arena_printf(f->w.a, "%d", i),
                   .fingerprint_sha256 = arena_printf(f->w.a, "f%d", i),
                   .pem_chain = S("pem"),
                   .not_before = f->w.now,
                   .not_after = f->w.now,
                   .created_at = us_add_s(f->w.now, i)};
    world_put(&f->w, &res_version, &v);
  }
  app_want(f, 200, "GET", "/api/v1/certificates/mc-1/versions?per_page=1", NULL);
  app_holds(f, "{\"data\":[{\"id\":\"certver-1\"");
  app_holds(f, "\"total\":2,\"page\":1,\"per_page\":1}");
}

static int renew(app_world_t *f, const char *query, const char *type, const char *body)
{
  return app_say(f, &(ask_t){.method = "POST",
                             .path = text(f, arena_printf(f->w.a, "/api/v1/certificates/mc-1/renew%s", query)),
                             .key = "root-key",
                             .headers = type,
                             .body = body});
}

/* Under way already, so that only a forced one is answered 202. */
static void test_a_forced_renewal(void **state)
{
#define JSON "Content-Type: application/json\r\n"
  static const struct {
    const char *query, *type, *body;
    int status;
  } v[] = {{"", NULL, "", 409},
           {"?force=true", NULL, "", 202},
           {"?force=1", NULL, "", 202},
           {"?force=false", NULL, "", 409},
           {"?force=yes", NULL, "", 409},
           {"", JSON, "{\"force\":true}", 202},
           {"", JSON, "{\"force\":false}", 409},
           {"?force=true", JSON, "{\"force\":false}", 202},
           {"", JSON, "{\"force\":1}", 400},
           {"", JSON, "{", 400},
           {"", JSON, "", 409},
           {"", NULL, "{\"force\":true}", 409},
           {"", "Content-Type: text/plain\r\n", "{\"force\":true}", 409},
           {"", NULL, "{", 409}};
#undef JSON
  app_world_t *f = *state;
  put(f, "mc-1", "");
  assert_int_equal(renew(f, "", NULL, ""), 202);
  app_holds(f, "renewal_triggered");
  slice_t job = world_text(&f->w, "select id from jobs where type = 'Issuance' and status = 'AwaitingCSR'");
  assert_true(job.n > 0 && app_has(f, text(f, job)));
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    int status = renew(f, v[i].query, v[i].type, v[i].body);
    if (status != v[i].status) fail_msg("%s %s: %d %s", v[i].query, v[i].body, status, f->body);
    if (status == 202) app_holds(f, text(f, job));
  }
  assert_int_equal(world_number(&f->w, "select count(*) from jobs"), 1);
}

static void test_a_deployment_asked_for(void **state)
{
  app_world_t *f = *state;
  put_targets(f, 3);
  put(f, "mc-1", ",\"target_ids\":[\"tgt-0\",\"tgt-1\"]");
  app_want(f, 409, "POST", "/api/v1/certificates/mc-1/deploy", "");
  app_holds(f, "not issued yet");
  app_want(f, 404, "POST", "/api/v1/certificates/mc-9/deploy", "");
  world_run(&f->w, "managed_certificates", "update managed_certificates set last_renewal_at = 1000000");
  app_want(f, 202, "POST", "/api/v1/certificates/mc-1/deploy", "");
  app_holds(f, "\"jobs\":2");
  ask_t q = {.method = "POST",
             .path = "/api/v1/certificates/mc-1/deploy",
             .key = "root-key",
             .headers = "Content-Type: application/json\r\n",
             .body = "{\"target_id\":\"tgt-1\"}"};
  world_run(&f->w, "jobs", "delete from jobs");
  assert_int_equal(app_say(f, &q), 202);
  app_holds(f, "\"jobs\":1");
  assert_int_equal(world_number(&f->w, "select count(*) from jobs where target_id = 'tgt-1' and type = 'Deployment'"),
                   1);
  q.body = "{\"target_id\":\"tgt-2\"}";
  assert_int_equal(app_say(f, &q), 400);
  app_holds(f, "target_id");
  q.body = "{\"target_id\":7}";
  assert_int_equal(app_say(f, &q), 400);
  app_want(f, 204, "DELETE", "/api/v1/certificates/mc-1", NULL);
  app_want(f, 404, "DELETE", "/api/v1/certificates/mc-1", NULL);
  app_want(f, 409, "POST", "/api/v1/certificates/mc-1/deploy", "");
  app_holds(f, "archived");
  app_want(f, 400, "POST", "/api/v1/certificates/mc-1/renew", "");
}

int main(void)
{
#define WITH_APP(t) cmocka_unit_test_setup_teardown(t, app_setup, app_teardown)
  const struct CMUnitTest tests[] = {
      WITH_APP(test_what_a_new_certificate_holds),
      WITH_APP(test_tags_are_an_object_of_texts),
      WITH_APP(test_targets_of_several_certificates),
      WITH_APP(test_a_thousand_targets),
      WITH_APP(test_a_change_of_targets),
      WITH_APP(test_filters),
      WITH_APP(test_versions),
      WITH_APP(test_a_forced_renewal),
      WITH_APP(test_a_deployment_asked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

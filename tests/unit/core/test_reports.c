/* What agents tell of themselves and of their jobs: signs of life, new processes, ends of jobs, what an endpoint shows. */
#include "world.h"

#include "core/agents.h"
#include "core/issue.h"
#include "core/report.h"
#include "core/verify.h"
#include "work/jobs.h"

static const actor_t agent = {.id = {(const uint8_t *)"agent-a", 7}, .type = {(const uint8_t *)"Agent", 5}};

static int setup(void **state)
{
  static world_t w;
  world_open(&w);
  world_agent(&w, "agent-a", "key a");
  world_agent(&w, "agent-b", "key b");
  world_target(&w, "tgt-a", "agent-a");
  certificate_t c = world_certificate(&w, "mc-1", "www.example.test"); /* rp-standard: a pause of 60 s */
  world_put(&w, &res_certificate, &c);
  *state = &w;
  return 0;
}

#define COUNT(what) world_number(w, "select count(*) from " what)

static slice_t put_job(world_t *w, const char *type, const char *status)
{
  job_t j = world_job(w, "job-1", "mc-1", type, status);
  world_put(w, &res_job, &j);
  return j.id;
}

/* A deployment that agent-a has in hand, for the first time. */
static slice_t running(world_t *w)
{
  work_item_t *items;
  size_t n;
  slice_t id = put_job(w, "Deployment", "Pending");
  must(jobs_claim(w->core.db, w->a, S("agent-a"), w->now, &items, &n, NULL), NULL);
  assert_int_equal(n, 1);
  return id;
}

static rc_t report(world_t *w, slice_t job, const char *by, const char *status, const char *error, err_t *e)
{
  *e = (err_t){0};
  return report_status(&w->core, w->a, job, slice_str(by), slice_str(status), slice_str(error), &agent, e);
}

static void says(world_t *w, slice_t job, const char *status, const char *error)
{
  err_t e;
  must(report(w, job, "agent-a", status, error, &e), &e);
}

static bool job_is(world_t *w, const char *status)
{
  return slice_is(world_text(w, "select status from jobs"), status);
}

/* --- reports --- */

static void test_running_renews_the_lease(void **state)
{
  world_t *w = *state;
  slice_t id = running(w);
  w->now = us_add_s(w->now, 100);
  says(w, id, "Running", "");
  assert_true(job_is(w, "Running"));
  assert_int_equal(world_number(w, "select lease_until from jobs"), us_add_s(w->now, JOB_LEASE_S).us);
  assert_int_equal(COUNT("audit_events where resource_id = 'mc-1'"), 0);
}

static void test_completed_ends_it(void **state)
{
  world_t *w = *state;
  slice_t id = running(w);
  says(w, id, "completed", "");
  assert_int_equal(COUNT("jobs where status = 'Completed' and last_error is null and next_run_at is null and "
                         "lease_holder is null"),
                   1);
  assert_int_equal(world_number(w, "select last_deployment_at from managed_certificates"), w->now.us);
  assert_int_equal(COUNT("audit_events where action = 'deployment_job_completed'"), 1);
  says(w, id, "Failed", "late"); /* it is over: nothing changes */
  assert_true(job_is(w, "Completed"));
  assert_int_equal(COUNT("audit_events where resource_id = 'mc-1'"), 1);
}

static void test_failed_waits_its_pause_while_attempts_are_left(void **state)
{
  world_t *w = *state;
  slice_t id = running(w);
  world_run(w, "jobs", "update jobs set attempts = 2");
  says(w, id, "Failed", "disk full");
  assert_true(job_is(w, "Failed"));
  assert_true(slice_is(world_text(w, "select last_error from jobs"), "disk full"));
  assert_int_equal(world_number(w, "select next_run_at from jobs"), us_add_s(w->now, 60).us);
  assert_int_equal(COUNT("managed_certificates where last_deployment_at is not null and last_deployment_at > 0"), 0);
  world_run(w, "jobs", "update jobs set status = 'Running', attempts = 3");
  says(w, id, "Failed", "");
  assert_true(slice_is(world_text(w, "select last_error from jobs"), "agent reported failure"));
  assert_int_equal(COUNT("jobs where next_run_at is null"), 1);
  assert_int_equal(COUNT("audit_events where action = 'deployment_job_failed'"), 2);
}

static void test_a_request_that_cannot_be_made_fails(void **state)
{
  world_t *w = *state;
  slice_t id = put_job(w, "Issuance", "AwaitingCSR");
  says(w, id, "Running", "");
  says(w, id, "Completed", "");
  assert_true(job_is(w, "AwaitingCSR"));
  world_run(w, "jobs", "update jobs set attempts = 1");
  says(w, id, "Failed", "");
  assert_true(slice_is(world_text(w, "select last_error from jobs"), "agent reported failure"));
  assert_int_equal(world_number(w, "select next_run_at from jobs"), us_add_s(w->now, 60).us);
  world_run(w, "jobs", "update jobs set status = 'AwaitingCSR', attempts = 2");
  says(w, id, "Failed", "no key");
  assert_int_equal(COUNT("jobs where attempts = 3 and last_error = 'no key' and next_run_at is null"), 1);
}

static void test_what_nobody_holds_is_not_reported_on(void **state)
{
  world_t *w = *state;
  slice_t id = put_job(w, "Deployment", "Pending");
  says(w, id, "Running", "");
  says(w, id, "Failed", "x");
  assert_true(job_is(w, "Pending"));
  assert_int_equal(COUNT("audit_events where resource_id = 'mc-1'"), 0);
}

static void test_reports_that_are_refused(void **state)
{
  static const char *const none[] = {"", "Pending", "AwaitingCSR", "Cancelled", "Exploded"};
  world_t *w = *state;
  err_t e;
  slice_t id = running(w);
  for (size_t i = 0; i < COUNT_OF(none); i++) {
    assert_true(rc_is(report(w, id, "agent-a", none[i], "", &e), RC_INVALID));
    assert_string_equal(e.field, "status");
  }
  assert_true(rc_is(report(w, id, "agent-b", "Completed", "", &e), RC_DENIED));
  assert_string_equal(e.reason, "foreign_job");
  assert_true(rc_is(report(w, S("job-none"), "agent-a", "Completed", "", &e), RC_NOTFOUND));
  assert_true(job_is(w, "Running"));
}

/* --- verification --- */

static rc_t verify(world_t *w, slice_t job, bool verified, const char *error, const actor_t *who, err_t *e)
{
  *e = (err_t){0};
  return verify_record(&w->core, w->a,
                       &(verification_t){.job = job,
                                         .target = S("tgt-a"),
                                         .expected = S("ab"),
                                         .actual = S("ab"),
                                         .error = slice_str(error),
                                         .verified = verified},
                       who, e);
}

static void test_what_an_endpoint_shows(void **state)
{
  static const struct {
    bool verified;
    const char *error, *status, *action;
  } v[] = {{true, "", "success", "job_verification_success"},
           {false, "", "failed", "job_verification_failed"},
           {true, "refused", "failed", "job_verification_failed"}};
  static const actor_t other = {.id = {(const uint8_t *)"agent-b", 7}, .type = {(const uint8_t *)"Agent", 5}};
  world_t *w = *state;
  err_t e;
  slice_t id = running(w);
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    must(verify(w, id, v[i].verified, v[i].error, i ? &world_root : &agent, &e), &e);
    assert_true(slice_is(world_text(w, "select verification_status from jobs"), v[i].status));
    assert_int_equal(COUNT("jobs where verification_error is null"), v[i].error[0] == 0);
    assert_true(slice_is(world_text(w, "select action from audit_events order by id desc limit 1"), v[i].action));
    w->now = us_add_s(w->now, 1);
  }
  assert_true(rc_is(verify(w, id, true, "", &other, &e), RC_DENIED));
  assert_true(rc_is(verify(w, S("job-none"), true, "", &agent, &e), RC_NOTFOUND));
  assert_int_equal(COUNT("audit_events where resource_id in (select id from jobs)"), COUNT_OF(v));
}

/* --- agents --- */

static void test_a_new_process_puts_back_what_the_last_one_had(void **state)
{
  world_t *w = *state;
  err_t e = {0};
  must(agent_seen(&w->core, w->a, S("agent-a"), S("p1"), &e), &e);
  (void)running(w);
  must(agent_seen(&w->core, w->a, S("agent-a"), S("p1"), &e), &e);
  must(agent_seen(&w->core, w->a, S("agent-a"), S(""), &e), &e); /* does not say who it is */
  assert_true(job_is(w, "Running"));
  assert_int_equal(COUNT("audit_events where action = 'agent_restarted'"), 1);
  must(agent_seen(&w->core, w->a, S("agent-a"), S("p2"), &e), &e);
  assert_true(job_is(w, "Pending"));
  assert_int_equal(COUNT("audit_events where action = 'agent_restarted'"), 2);
  assert_true(rc_is(agent_seen(&w->core, w->a, S("agent-none"), S("p1"), &e), RC_NOTFOUND));
}

static void test_signs_of_life_of_nobody(void **state)
{
  world_t *w = *state;
  err_t e = {0};
  agent_t g = {.id = S("agent-none")};
  assert_true(rc_is(agent_heartbeat(&w->core, w->a, &g, &e), RC_NOTFOUND));
  world_run(w, "agents", "update agents set retired_at = 1 where id = 'agent-b'");
  g.id = S("agent-b");
  assert_true(rc_is(agent_heartbeat(&w->core, w->a, &g, &e), RC_GONE));
  assert_true(rc_is(agent_seen(&w->core, w->a, g.id, S("p1"), &e), RC_GONE));
  world_run(w, "agents", "update agents set status = 'Offline'");
  g.id = S("agent-a");
  must(agent_heartbeat(&w->core, w->a, &g, &e), &e);
  assert_int_equal(COUNT("agents where status = 'Online' and hostname = 'host.test'"), 1);
}

/* Each thing that hangs on an agent alone keeps it from being retired; nothing does with force. */
static void test_what_keeps_an_agent(void **state)
{
  static const char *const sentinels[] = {"server-scanner", "cloud-aws-sm", "cloud-azure-kv", "cloud-gcp-sm"};
  world_t *w = *state;
  agent_retirement_t x;
  err_t e = {0};
  for (size_t i = 0; i < COUNT_OF(sentinels); i++)
    assert_true(rc_is(agent_retire(&w->core, w->a, slice_str(sentinels[i]), true, S("r"), &world_root, &x, &e), RC_DENIED));
  assert_true(rc_is(agent_retire(&w->core, w->a, S("agent-a"), false, S(""), &world_root, &x, &e), RC_CONFLICT));
  assert_true(x.counts.active_targets == 1 && x.counts.active_certificates == 0 && x.counts.pending_jobs == 0);
  world_run(w, "deployment_targets", "update deployment_targets set retired_at = 1");
  (void)put_job(w, "Issuance", "AwaitingCSR");
  assert_true(rc_is(agent_retire(&w->core, w->a, S("agent-a"), false, S(""), &world_root, &x, &e), RC_CONFLICT));
  assert_true(x.counts.active_targets == 0 && x.counts.pending_jobs == 1);
  must(agent_retire(&w->core, w->a, S("agent-a"), true, S("old"), &world_root, &x, &e), &e);
  assert_true(!x.already && job_is(w, "Cancelled"));
  assert_int_equal(COUNT("audit_events where action = 'agent_retirement_cascaded'"), 1);
  w->now = us_add_s(w->now, 60);
  must(agent_retire(&w->core, w->a, S("agent-a"), false, S(""), &world_root, &x, &e), &e);
  assert_true(x.already && x.retired_at.us == us_add_s(w->now, -60).us);
  must(agent_retire(&w->core, w->a, S("agent-b"), false, S(""), &world_root, &x, &e), &e);
  assert_int_equal(COUNT("audit_events where action = 'agent_retired'"), 1);
  assert_int_equal(COUNT("agents where id = 'agent-b' and retired_reason is null"), 1);
}

/* --- who may what --- */

static void test_a_permission_on_a_scope(void **state)
{
  static const scoped_grant_t grants[] = {{3, {(const uint8_t *)"issuer", 6}, {(const uint8_t *)"a", 1}},
                                          {5, {(const uint8_t *)"profile", 7}, {(const uint8_t *)"b", 1}}};
  static const struct {
    int permission;
    const char *type, *id;
    bool may;
  } v[] = {{3, "issuer", "a", true},  {5, "profile", "b", true}, {5, "issuer", "a", false}, {3, "profile", "a", false},
           {3, "issuer", "b", false}, {3, "", "", false},        {3, "", "a", false},       {7, "profile", "x", true},
           {7, "", "", true},         {0, "issuer", "a", false}};
  actor_t who = {.scoped = grants, .nscoped = COUNT_OF(grants)};
  (void)state;
  permset_add(&who.global, 7);
  for (size_t i = 0; i < COUNT_OF(v); i++)
    assert_int_equal(actor_may(&who, v[i].permission, slice_str(v[i].type), slice_str(v[i].id)), v[i].may);
}

int main(void)
{
#define WITH_STORE(t) cmocka_unit_test_setup_teardown(t, setup, world_teardown)
  const struct CMUnitTest tests[] = {
      WITH_STORE(test_running_renews_the_lease),
      WITH_STORE(test_completed_ends_it),
      WITH_STORE(test_failed_waits_its_pause_while_attempts_are_left),
      WITH_STORE(test_a_request_that_cannot_be_made_fails),
      WITH_STORE(test_what_nobody_holds_is_not_reported_on),
      WITH_STORE(test_reports_that_are_refused),
      WITH_STORE(test_what_an_endpoint_shows),
      WITH_STORE(test_a_new_process_puts_back_what_the_last_one_had),
      WITH_STORE(test_signs_of_life_of_nobody),
      WITH_STORE(test_what_keeps_an_agent),
      cmocka_unit_test(test_a_permission_on_a_scope),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

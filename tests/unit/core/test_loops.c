/* One run of each background loop over a store of the test's own, with a clock that the test moves. */
#include "world.h"

#include "core/loops.h"
#include "work/jobs.h"

static int setup(void **state)
{
  static world_t w;
  world_open(&w);
  world_agent(&w, "agent-a", "key a");
  world_target(&w, "tgt-a", "agent-a");
  certificate_t c = world_certificate(&w, "mc-1", "www.example.test");
  world_put(&w, &res_certificate, &c);
  *state = &w;
  return 0;
}

static void run(world_t *w, rc_t (*loop)(void *)) { must(loop(&w->core), NULL); }

static void put_job(world_t *w, const char *type, const char *status)
{
  job_t j = world_job(w, arena_text(w->a, arena_printf(w->a, "job-%s", type)), "mc-1", type, status);
  world_put(w, &res_job, &j);
}

static bool job_is(world_t *w, const char *status)
{
  return slice_is(world_text(w, "select status from jobs"), status);
}

static int64_t audits(world_t *w, const char *action)
{
  return world_number(
      w, arena_text(
             w->a, arena_printf(w->a, "select count(*) from audit_events where action = '%s' and actor_type = 'System'",
                                action)));
}

static void test_a_deployment_whose_holder_fell_silent_begins_again(void **state)
{
  world_t *w = *state;
  work_item_t *items;
  size_t n;
  put_job(w, "Deployment", "Pending");
  must(jobs_claim(w->core.db, w->a, S("agent-a"), w->now, &items, &n, NULL), NULL);
  assert_int_equal(n, 1);
  w->now = us_add_s(w->now, JOB_LEASE_S - 1);
  run(w, loop_jobs);
  assert_true(job_is(w, "Running"));
  w->now = us_add_s(w->now, 1);
  run(w, loop_jobs);
  assert_true(job_is(w, "Pending"));
  assert_int_equal(audits(w, "job_lease_expired"), 1);
  assert_int_equal(
      world_number(w, "select count(*) from jobs where lease_holder is null and lease_until is null and attempts = 1"),
      1);
  run(w, loop_jobs);
  assert_int_equal(audits(w, "job_lease_expired"), 1);
}

static void test_a_failed_job_waits_its_pause_and_begins_again_while_attempts_are_left(void **state)
{
  world_t *w = *state;
  put_job(w, "Deployment", "Pending");
  world_run(w, "jobs",
            "update jobs set status = 'Failed', attempts = 2, last_error = 'x', next_run_at = next_run_at + 60000000");
  run(w, loop_retry);
  assert_true(job_is(w, "Failed"));
  w->now = us_add_s(w->now, 60);
  run(w, loop_retry);
  assert_true(job_is(w, "Pending"));
  assert_int_equal(audits(w, "job_retry"), 1);
  world_run(w, "jobs", "update jobs set status = 'Failed', attempts = 3");
  w->now = us_add_s(w->now, 86400);
  run(w, loop_retry);
  assert_true(job_is(w, "Failed"));
  assert_int_equal(audits(w, "job_retry"), 1);
}

static void test_a_failed_issuance_begins_again_as_a_request_and_not_beside_a_younger_one(void **state)
{
  world_t *w = *state;
  put_job(w, "Issuance", "AwaitingCSR");
  world_run(w, "jobs", "update jobs set status = 'Failed', attempts = 1");
  run(w, loop_retry);
  assert_true(job_is(w, "AwaitingCSR"));
  world_run(w, "jobs", "update jobs set status = 'Failed'");
  put_job(w, "Renewal", "AwaitingCSR");
  run(w, loop_retry);
  assert_int_equal(world_number(w, "select count(*) from jobs where status = 'Failed' and type = 'Issuance'"), 1);
}

static void test_a_request_that_nobody_sent_in_time_fails(void **state)
{
  world_t *w = *state;
  put_job(w, "Issuance", "AwaitingCSR");
  w->now = us_add_s(w->now, 86400);
  run(w, loop_job_timeout);
  assert_true(job_is(w, "AwaitingCSR"));
  w->now = us_add_s(w->now, 1);
  run(w, loop_job_timeout);
  assert_true(job_is(w, "Failed"));
  assert_true(slice_is(world_text(w, "select last_error from jobs"), "timed out in AwaitingCSR after 86400 s"));
  assert_int_equal(audits(w, "job_timeout"), 1);
  run(w, loop_retry); /* it is over: nobody is going to send one */
  assert_true(job_is(w, "Failed"));
}

static void test_an_agent_that_fell_silent_is_offline(void **state)
{
  world_t *w = *state;
  w->now = us_add_s(w->now, 120);
  run(w, loop_agent_health);
  assert_true(slice_is(world_text(w, "select status from agents where id = 'agent-a'"), "Online"));
  w->now = us_add_s(w->now, 1);
  run(w, loop_agent_health);
  assert_true(slice_is(world_text(w, "select status from agents where id = 'agent-a'"), "Offline"));
  assert_int_equal(audits(w, "agent_offline"), 1);
  run(w, loop_agent_health);
  assert_int_equal(audits(w, "agent_offline"), 1);
}

static void expires_in(world_t *w, const char *status, int64_t s)
{
  world_run(w, "managed_certificates",
            arena_text(w->a, arena_printf(w->a, "update managed_certificates set status = '%s', expires_at = %lld",
                                          status, (long long)us_add_s(w->now, s).us)));
}

static bool certificate_is(world_t *w, const char *status)
{
  run(w, loop_expiry);
  return slice_is(world_text(w, "select status from managed_certificates"), status);
}

static void test_active_becomes_expiring_and_expired(void **state)
{
  world_t *w = *state;
  expires_in(w, "Active", 30 * 86400 + 1); /* rp-standard: 30 days */
  assert_true(certificate_is(w, "Active"));
  w->now = us_add_s(w->now, 1);
  assert_true(certificate_is(w, "Expiring"));
  w->now = us_add_s(w->now, 30 * 86400 - 1);
  assert_true(certificate_is(w, "Expiring"));
  w->now = us_add_s(w->now, 1);
  assert_true(certificate_is(w, "Expired"));
  assert_int_equal(audits(w, "certificate_status_changed"), 2);
}

static void test_expiry_touches_nothing_else(void **state)
{
  static const char *const others[] = {"Pending", "RenewalInProgress", "Failed", "Revoked", "Archived", "Expired"};
  world_t *w = *state;
  for (size_t i = 0; i < COUNT_OF(others); i++) {
    expires_in(w, others[i], -1);
    assert_true(certificate_is(w, others[i]));
  }
  world_run(w, "managed_certificates",
            "update managed_certificates set status = 'Active', expires_at = -62135596800000000"); /* never issued */
  assert_true(certificate_is(w, "Active"));
  assert_int_equal(audits(w, "certificate_status_changed"), 0);
}

/* The clock was a year ahead and is set right: what was stamped then has its turn now. */
static void test_a_clock_that_is_set_back_strands_no_job(void **state)
{
  world_t *w = *state;
  us_t right = w->now;
  work_item_t *items;
  size_t n;
  w->now = us_add_s(right, 365 * 86400);
  put_job(w, "Deployment", "Pending");
  w->now = right;
  must(jobs_claim(w->core.db, w->a, S("agent-a"), w->now, &items, &n, NULL), NULL);
  assert_int_equal(n, 0);
  run(w, loop_jobs);
  assert_int_equal(audits(w, "job_rescheduled"), 1);
  must(jobs_claim(w->core.db, w->a, S("agent-a"), w->now, &items, &n, NULL), NULL);
  assert_int_equal(n, 1);
  world_run(w, "jobs", "update jobs set lease_until = lease_until + 31536000000000");
  run(w, loop_jobs);
  assert_true(job_is(w, "Pending"));
  assert_int_equal(audits(w, "job_lease_expired"), 1);
  world_run(
      w, "jobs",
      "update jobs set status = 'Failed', next_run_at = next_run_at + 86400000000"); /* a pause of a day is meant so */
  run(w, loop_jobs);
  assert_int_equal(audits(w, "job_rescheduled"), 1);
}

static void test_table_has_every_loop_with_the_interval_of_the_settings(void **state)
{
  world_t *w = *state;
  loop_t loops[LOOP_COUNT];
  loops_table(&w->conf, loops);
  static const int64_t want[LOOP_COUNT] = {30, 300, 600, 120, 3600};
  for (int i = 0; i < LOOP_COUNT; i++) {
    assert_int_equal(loops[i].interval_s, want[i]);
    assert_true(loops[i].run != NULL && loops[i].help[0] != 0);
    for (int k = 0; k < i; k++) assert_string_not_equal(loops[i].name, loops[k].name);
  }
}

/* Every allocation of a run fails in turn: no leak (the sanitizer looks), no half-done change. */
static void test_torture_of_a_sweep(void **state)
{
  world_t *w = *state;
  put_job(w, "Issuance", "AwaitingCSR");
  w->now = us_add_s(w->now, 2 * 86400);
  bool done = false;
  for (long n = 0; n < 200 && !done; n++) {
    mem_fail_after(n);
    rc_t got = loop_job_timeout(&w->core);
    mem_fail_after(-1);
    bool failed = job_is(w, "Failed");
    assert_int_equal(failed, audits(w, "job_timeout") == 1);
    done = rc_ok(got) && failed;
  }
  assert_true(done);
}

int main(void)
{
#define WITH_STORE(t) cmocka_unit_test_setup_teardown(t, setup, world_teardown)
  const struct CMUnitTest tests[] = {
      WITH_STORE(test_a_deployment_whose_holder_fell_silent_begins_again),
      WITH_STORE(test_a_failed_job_waits_its_pause_and_begins_again_while_attempts_are_left),
      WITH_STORE(test_a_failed_issuance_begins_again_as_a_request_and_not_beside_a_younger_one),
      WITH_STORE(test_a_request_that_nobody_sent_in_time_fails),
      WITH_STORE(test_an_agent_that_fell_silent_is_offline),
      WITH_STORE(test_active_becomes_expiring_and_expired),
      WITH_STORE(test_expiry_touches_nothing_else),
      WITH_STORE(test_a_clock_that_is_set_back_strands_no_job),
      WITH_STORE(test_table_has_every_loop_with_the_interval_of_the_settings),
      WITH_STORE(test_torture_of_a_sweep),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

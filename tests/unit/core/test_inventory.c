/* Certificates as rows: which jobs come with them, which targets count, when one may be renewed or deployed. */
#include "world.h"

#include "base/limits.h"
#include "core/deploy.h"
#include "core/inventory.h"

static int setup(void **state)
{
  static world_t w;
  world_open(&w);
  world_agent(&w, "agent-a", "key a");
  world_agent(&w, "agent-b", "key b");
  world_target(&w, "tgt-1", "agent-a");
  world_target(&w, "tgt-2", "agent-b");
  world_target(&w, "tgt-3", "agent-a");
  *state = &w;
  return 0;
}

#define COUNT(what) world_number(w, "select count(*) from " what)

static void create(world_t *w, const char *id, texts_t targets)
{
  certificate_t c = world_certificate(w, id, "www.example.test");
  err_t e = {0};
  c.target_ids = targets;
  must(inventory_create(&w->core, w->a, &c, &world_root, &e), &e);
}

static const slice_t three[] = {
    {(const uint8_t *)"tgt-1", 5}, {(const uint8_t *)"tgt-2", 5}, {(const uint8_t *)"tgt-3", 5}};

static rc_t renew(world_t *w, bool force, slice_t *ret_job, err_t *e)
{
  *e = (err_t){0};
  return inventory_renew(&w->core, w->a, S("mc-1"), force, &world_root, ret_job, e);
}

static void test_a_new_certificate_has_one_job_per_agent(void **state)
{
  world_t *w = *state;
  create(w, "mc-1", (texts_t){three, 3});
  assert_int_equal(COUNT("jobs where type = 'Issuance' and status = 'AwaitingCSR' and max_attempts = 4"), 2);
  assert_int_equal(COUNT("jobs where agent_id = 'agent-a'"), 1);
  assert_int_equal(COUNT("jobs where agent_id = 'agent-b'"), 1);
  assert_int_equal(COUNT("certificate_target_mappings"), 3);
  create(w, "mc-2", (texts_t){NULL, 0});
  assert_int_equal(COUNT("jobs"), 2);
  world_run(w, "deployment_targets", "update deployment_targets set enabled = false where id in ('tgt-1', 'tgt-2')");
  create(w, "mc-3", (texts_t){three, 3});
  assert_int_equal(COUNT("jobs where certificate_id = 'mc-3'"), 1);
  assert_int_equal(COUNT("jobs where certificate_id = 'mc-3' and agent_id = 'agent-a'"), 1);
}

static void test_what_a_certificate_must_not_name(void **state)
{
  static const struct {
    const char *name, *san, *target, *policy, *field;
  } v[] = {{"no name", "a.test", NULL, NULL, "common_name"},
           {"a.test", "no name", NULL, NULL, "sans"},
           {"a.test", "a.test", "tgt-none", NULL, "target_ids"},
           {"a.test", "a.test", "tgt-1", "rp-none", "renewal_policy_id"}};
  world_t *w = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    certificate_t c = world_certificate(w, "mc-1", v[i].name);
    slice_t san = slice_str(v[i].san), target = v[i].target ? slice_str(v[i].target) : S("");
    err_t e = {0};
    c.sans = (texts_t){&san, 1};
    c.target_ids = (texts_t){&target, v[i].target != NULL};
    if (v[i].policy) c.renewal_policy_id = slice_str(v[i].policy);
    assert_true(rc_is(inventory_create(&w->core, w->a, &c, &world_root, &e), RC_INVALID));
    assert_string_equal(e.field, v[i].field);
  }
  assert_int_equal(COUNT("managed_certificates"), 0);
}

/* --- renewal --- */

static void test_a_renewal_is_one_at_a_time(void **state)
{
  world_t *w = *state;
  slice_t job = {NULL, 0}, again = {NULL, 0};
  err_t e;
  create(w, "mc-1", (texts_t){NULL, 0});
  must(renew(w, false, &job, &e), &e); /* nobody's: an operator is to send the CSR */
  assert_int_equal(COUNT("jobs where type = 'Issuance' and agent_id is null and status = 'AwaitingCSR'"), 1);
  assert_int_equal(COUNT("managed_certificates where status = 'Pending'"), 1); /* until it has a leaf */
  assert_true(slice_eq(job, world_text(w, "select id from jobs")));
  assert_true(rc_is(renew(w, false, &again, &e), RC_CONFLICT));
  assert_string_equal(e.reason, "in_progress");
  must(renew(w, true, &again, &e), &e);
  assert_true(slice_eq(job, again));
  assert_int_equal(COUNT("jobs"), 1);
}

static void test_a_renewal_of_what_was_issued_goes_to_each_agent(void **state)
{
  world_t *w = *state;
  slice_t job = {NULL, 0};
  err_t e;
  create(w, "mc-1", (texts_t){three, 3});
  world_run(w, "jobs", "update jobs set status = 'Completed', next_run_at = null");
  world_run(w, "managed_certificates", "update managed_certificates set status = 'Active', last_renewal_at = 1000000");
  must(renew(w, true, &job, &e), &e);
  assert_int_equal(COUNT("jobs where type = 'Renewal' and status = 'AwaitingCSR' and max_attempts = 4"), 2);
  assert_int_equal(COUNT("jobs where type = 'Renewal' and agent_id is null"), 0);
  assert_int_equal(COUNT("managed_certificates where status = 'RenewalInProgress'"), 1);
  assert_int_equal(COUNT("audit_events where action = 'renewal_triggered' and details like '%\"job_count\":2%'"), 1);
}

static void test_what_is_not_renewed(void **state)
{
  static const char *const ended[] = {"Archived", "Revoked", "Expired"};
  world_t *w = *state;
  slice_t job;
  err_t e;
  assert_true(rc_is(renew(w, false, &job, &e), RC_NOTFOUND));
  create(w, "mc-1", (texts_t){NULL, 0});
  for (size_t i = 0; i < COUNT_OF(ended); i++) {
    world_run(w, "managed_certificates",
              arena_text(w->a, arena_printf(w->a, "update managed_certificates set status = '%s'", ended[i])));
    assert_true(rc_is(renew(w, true, &job, &e), RC_INVALID));
  }
  assert_int_equal(COUNT("jobs"), 0);
}

/* --- deployment --- */

static rc_t deploy(world_t *w, const char *target, size_t *ret_n, err_t *e)
{
  *e = (err_t){0};
  return deploy_trigger(&w->core, w->a, S("mc-1"), slice_str(target), &world_root, ret_n, e);
}

static void test_a_deployment_goes_to_targets_that_count(void **state)
{
  world_t *w = *state;
  size_t n = 0;
  err_t e;
  assert_true(rc_is(deploy(w, "", &n, &e), RC_NOTFOUND));
  create(w, "mc-1", (texts_t){three, 3});
  world_run(w, "jobs", "delete from jobs");
  assert_true(rc_is(deploy(w, "", &n, &e), RC_CONFLICT));
  assert_string_equal(e.reason, "not_issued");
  world_run(w, "managed_certificates", "update managed_certificates set last_renewal_at = 1000000");
  must(deploy(w, "", &n, &e), &e);
  assert_int_equal(n, 3);
  assert_int_equal(COUNT("jobs where type = 'Deployment' and status = 'Pending' and max_attempts = 4"), 3);
  must(deploy(w, "tgt-2", &n, &e), &e);
  assert_int_equal(n, 1);
  assert_int_equal(COUNT("jobs where target_id = 'tgt-2' and agent_id = 'agent-b'"), 2);
  world_run(w, "deployment_targets", "update deployment_targets set enabled = false where id = 'tgt-2'");
  assert_true(rc_is(deploy(w, "tgt-2", &n, &e), RC_INVALID));
  assert_string_equal(e.field, "target_id");
  must(deploy(w, "", &n, &e), &e);
  assert_int_equal(n, 2);
  world_run(w, "certificate_target_mappings", "delete from certificate_target_mappings");
  must(deploy(w, "", &n, &e), &e);
  assert_int_equal(n, 0);
  world_run(w, "managed_certificates", "update managed_certificates set status = 'Archived'");
  assert_true(rc_is(deploy(w, "", &n, &e), RC_CONFLICT));
  assert_string_equal(e.reason, "archived");
}

/* --- many targets --- */

/* LIM_CERT_TARGETS agents with a target each. */
static void put_many_targets(world_t *w)
{
  world_run(w, "agents",
            "with recursive k(i) as (select 1 union all select i + 1 from k where i < 10000) "
            "insert into agents (id, name, hostname, api_key_hash) select 'many-' || i, 'many ' || i, 'h', 'x' || i "
            "from k");
  world_run(w, "deployment_targets",
            "insert into deployment_targets (id, name, type, agent_id, config) "
            "select 'tgt-' || id, 'target', 'NGINX', id, '{}' from agents where id like 'many-%'");
}

static void test_a_certificate_goes_to_as_many_targets_as_may_be(void **state)
{
  world_t *w = *state;
  err_t e = {0};
  slice_t job;
  size_t n;
  create(w, "mc-1", (texts_t){NULL, 0});
  put_many_targets(w);
  world_run(w, "certificate_target_mappings",
            "insert into certificate_target_mappings (certificate_id, target_id) select 'mc-1', id from "
            "deployment_targets where agent_id like 'many-%'");
  assert_true(rc_is(inventory_map(&w->core, w->a, S("mc-1"), S("tgt-1"), true, &world_root, &e), RC_INVALID));
  assert_string_equal(e.reason, "too_many_targets");
  must(inventory_renew(&w->core, w->a, S("mc-1"), false, &world_root, &job, NULL), NULL);
  assert_int_equal(world_number(w, "select count(distinct agent_id) from jobs where type = 'Issuance'"),
                   LIM_CERT_TARGETS);
  world_run(w, "managed_certificates", "update managed_certificates set last_renewal_at = 1");
  must(deploy_trigger(&w->core, w->a, S("mc-1"), (slice_t){NULL, 0}, &world_root, &n, NULL), NULL);
  assert_int_equal(n, LIM_CERT_TARGETS);
  assert_int_equal(world_number(w, "select count(distinct target_id) from jobs where type = 'Deployment'"),
                   LIM_CERT_TARGETS);
}

/* As many as one request may name: each is a mapping and a job. */
static void test_a_certificate_is_made_with_all_the_targets_that_a_request_names(void **state)
{
  enum { NAMED = 1000 };
  world_t *w = *state;
  slice_t ids[NAMED];
  put_many_targets(w);
  for (int i = 0; i < NAMED; i++) ids[i] = arena_printf(w->a, "tgt-many-%d", i + 1);
  create(w, "mc-1", (texts_t){ids, NAMED});
  assert_int_equal(world_number(w, "select count(*) from certificate_target_mappings"), NAMED);
  assert_int_equal(world_number(w, "select count(distinct agent_id) from jobs"), NAMED);
}

/* --- mapping, archiving --- */

static void test_archiving_cancels_what_is_under_way(void **state)
{
  world_t *w = *state;
  err_t e = {0};
  create(w, "mc-1", (texts_t){three, 1});
  must(inventory_archive(&w->core, w->a, S("mc-1"), &world_root, &e), &e);
  assert_int_equal(COUNT("jobs where status = 'Cancelled' and last_error = 'certificate was archived'"), 1);
  assert_true(rc_is(inventory_archive(&w->core, w->a, S("mc-1"), &world_root, &e), RC_NOTFOUND));
  assert_int_equal(COUNT("audit_events where action = 'certificate_archived'"), 1);
}

int main(void)
{
#define WITH_STORE(t) cmocka_unit_test_setup_teardown(t, setup, world_teardown)
  const struct CMUnitTest tests[] = {
      WITH_STORE(test_a_new_certificate_has_one_job_per_agent),
      WITH_STORE(test_what_a_certificate_must_not_name),
      WITH_STORE(test_a_renewal_is_one_at_a_time),
      WITH_STORE(test_a_renewal_of_what_was_issued_goes_to_each_agent),
      WITH_STORE(test_what_is_not_renewed),
      WITH_STORE(test_a_deployment_goes_to_targets_that_count),
      WITH_STORE(test_a_certificate_goes_to_as_many_targets_as_may_be),
      WITH_STORE(test_a_certificate_is_made_with_all_the_targets_that_a_request_names),
      WITH_STORE(test_archiving_cancels_what_is_under_way),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Renewal and deployment of one certificate: to whom they go. */
#include "world.h"

#include "base/limits.h"
#include "core/deploy.h"
#include "core/inventory.h"

static int setup(void **state)
{
  static world_t w;
  world_open(&w);
  world_agent(&w, "agent-a", "key a");
  certificate_t c = world_certificate(&w, "mc-1", "www.example.test");
  world_put(&w, &res_certificate, &c);
  *state = &w;
  return 0;
}

static int teardown(void **state)
{
  world_close(*state);
  return 0;
}

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
  put_many_targets(w);
  world_target(w, "tgt-one-more", "agent-a");
  world_run(w, "certificate_target_mappings",
            "insert into certificate_target_mappings (certificate_id, target_id) select 'mc-1', id from "
            "deployment_targets where agent_id like 'many-%'");
  assert_true(rc_is(inventory_map(&w->core, w->a, S("mc-1"), S("tgt-one-more"), true, &actor_system, &e), RC_INVALID));
  assert_string_equal(e.reason, "too_many_targets");
  must(inventory_renew(&w->core, w->a, S("mc-1"), false, &actor_system, &job, NULL), NULL);
  assert_int_equal(world_number(w, "select count(distinct agent_id) from jobs where type = 'Issuance'"),
                   LIM_CERT_TARGETS);
  world_run(w, "managed_certificates", "update managed_certificates set last_renewal_at = 1");
  must(deploy_trigger(&w->core, w->a, S("mc-1"), (slice_t){NULL, 0}, &actor_system, &n, NULL), NULL);
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
  certificate_t c = world_certificate(w, "mc-wide", "wide.example.test");
  c.target_ids = (texts_t){ids, NAMED};
  must(inventory_create(&w->core, w->a, &c, &actor_system, NULL), NULL);
  assert_int_equal(world_number(w, "select count(*) from certificate_target_mappings"), NAMED);
  assert_int_equal(world_number(w, "select count(distinct agent_id) from jobs"), NAMED);
}

static void test_one_job_for_each_agent_and_a_forced_repetition_is_the_same_job(void **state)
{
  world_t *w = *state;
  err_t e = {0};
  slice_t job, again;
  world_agent(w, "agent-b", "key b");
  world_target(w, "tgt-1", "agent-a");
  world_target(w, "tgt-2", "agent-b");
  world_target(w, "tgt-3", "agent-a");
  world_run(w, "certificate_target_mappings",
            "insert into certificate_target_mappings (certificate_id, target_id) select 'mc-1', id from "
            "deployment_targets");
  must(inventory_renew(&w->core, w->a, S("mc-1"), false, &actor_system, &job, NULL), NULL);
  assert_int_equal(world_number(w, "select count(*) from jobs where type = 'Issuance'"), 2);
  assert_int_equal(world_number(w, "select count(distinct agent_id) from jobs"), 2);
  assert_true(rc_is(inventory_renew(&w->core, w->a, S("mc-1"), false, &actor_system, &again, &e), RC_CONFLICT));
  assert_string_equal(e.reason, "in_progress");
  must(inventory_renew(&w->core, w->a, S("mc-1"), true, &actor_system, &again, NULL), NULL);
  assert_int_equal(world_number(w, "select count(*) from jobs"), 2);
}

/* What has no target of its own waits for anybody's CSR; an issued certificate's job is a renewal. */
static void test_without_targets_the_job_is_for_nobody(void **state)
{
  world_t *w = *state;
  slice_t job;
  world_run(w, "managed_certificates", "update managed_certificates set last_renewal_at = 1");
  must(inventory_renew(&w->core, w->a, S("mc-1"), false, &actor_system, &job, NULL), NULL);
  assert_int_equal(world_number(w, "select count(*) from jobs where type = 'Renewal' and agent_id is null and "
                                   "status = 'AwaitingCSR'"),
                   1);
}

static void test_deployment_to_a_target_that_is_not_its_own_is_refused(void **state)
{
  world_t *w = *state;
  err_t e = {0};
  size_t n;
  world_target(w, "tgt-1", "agent-a");
  world_target(w, "tgt-2", "agent-a");
  world_run(w, "certificate_target_mappings",
            "insert into certificate_target_mappings (certificate_id, target_id) values ('mc-1', 'tgt-1')");
  assert_true(
      rc_is(deploy_trigger(&w->core, w->a, S("mc-1"), S("tgt-1"), &actor_system, &n, &e), RC_CONFLICT)); /* not issued */
  assert_string_equal(e.reason, "not_issued");
  world_run(w, "managed_certificates", "update managed_certificates set last_renewal_at = 1");
  assert_true(rc_is(deploy_trigger(&w->core, w->a, S("mc-1"), S("tgt-2"), &actor_system, &n, &e), RC_INVALID));
  assert_string_equal(e.field, "target_id");
  assert_int_equal(world_number(w, "select count(*) from jobs"), 0);
  must(deploy_trigger(&w->core, w->a, S("mc-1"), S("tgt-1"), &actor_system, &n, NULL), NULL);
  assert_int_equal(n, 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_a_certificate_goes_to_as_many_targets_as_may_be, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_certificate_is_made_with_all_the_targets_that_a_request_names, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_one_job_for_each_agent_and_a_forced_repetition_is_the_same_job, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_without_targets_the_job_is_for_nobody, setup, teardown),
      cmocka_unit_test_setup_teardown(test_deployment_to_a_target_that_is_not_its_own_is_refused, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

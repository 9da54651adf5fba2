/* Jobs as rows: who gets which, when, and that two who ask at the same moment never get one row. */
#include "world.h"

#include "work/jobs.h"

#include <stdio.h>

enum { JOBS = 24 };

static int setup(void **state)
{
  static world_t w;
  world_open(&w);
  world_agent(&w, "agent-a", "key a");
  world_agent(&w, "agent-b", "key b");
  world_target(&w, "tgt-a", "agent-a");
  world_target(&w, "tgt-b", "agent-b");
  *state = &w;
  return 0;
}

static void put_certificate(world_t *w, const char *id, const char *target, const char *second)
{
  certificate_t c = world_certificate(w, id, "www.example.test");
  cmd_t *cmd = cmd_new(w->a);
  world_put(w, &res_certificate, &c);
  cmd_add(cmd, sql_mapping_put(w->a, &(struct sql_mapping_put){.certificate = c.id, .target = slice_str(target)}), 1);
  if (second)
    cmd_add(cmd, sql_mapping_put(w->a, &(struct sql_mapping_put){.certificate = c.id, .target = slice_str(second)}), 1);
  must(world_submit(w, cmd), NULL);
}

static slice_t put_job(world_t *w, const job_spec_t *spec)
{
  slice_t id = {NULL, 0};
  cmd_t *c = cmd_new(w->a);
  must(job_add(c, w->a, w->now, spec, &id), NULL);
  must(world_submit(w, c), NULL);
  return id;
}

static size_t claim(world_t *w, arena_t *a, const char *agent, work_item_t **ret)
{
  size_t n = 0;
  err_t e = {0};
  must(jobs_claim(w->core.db, a, slice_str(agent), w->now, ret, &n, &e), &e);
  return n;
}

typedef struct claimer {
  world_t *w;
  const char *agent;
  arena_t *a;
  work_item_t *items;
  size_t n;
  pthread_t thread;
} claimer_t;

static void *claim_in_thread(void *self)
{
  claimer_t *c = self;
  err_t e = {0};
  if (!rc_ok(jobs_claim(c->w->core.db, c->a, slice_str(c->agent), c->w->now, &c->items, &c->n, &e))) c->n = 1000;
  return NULL;
}

/* CSRs that either of two agents may answer: each is shown to one of them. */
static void test_two_claimers_never_get_one_row(void **state)
{
  world_t *w = *state;
  for (int i = 0; i < JOBS; i++) {
    slice_t id = arena_printf(w->a, "mc-%d", i);
    char *name = arena_text(w->a, id);
    put_certificate(w, name, "tgt-a", "tgt-b");
    (void)put_job(
        w, &(job_spec_t){.type = S("Issuance"), .certificate = id, .status = S("AwaitingCSR"), .max_attempts = 3});
  }
  claimer_t c[] = {{.w = w, .agent = "agent-a", .a = arena_new(1 << 20)},
                   {.w = w, .agent = "agent-b", .a = arena_new(1 << 20)}};
  for (size_t i = 0; i < COUNT_OF(c); i++)
    assert_int_equal(pthread_create(&c[i].thread, NULL, claim_in_thread, &c[i]), 0);
  for (size_t i = 0; i < COUNT_OF(c); i++) pthread_join(c[i].thread, NULL);
  assert_int_equal(c[0].n + c[1].n, JOBS);
  for (size_t i = 0; i < c[0].n; i++)
    for (size_t k = 0; k < c[1].n; k++) assert_false(slice_eq(c[0].items[i].id, c[1].items[k].id));
  assert_int_equal(world_number(w, "select count(*) from jobs where lease_holder in ('agent-a', 'agent-b')"), JOBS);
  for (size_t i = 0; i < COUNT_OF(c); i++) arena_free(c[i].a);
}

static void test_a_lease_is_shown_to_its_holder_again_and_to_others_when_it_is_over(void **state)
{
  world_t *w = *state;
  work_item_t *items;
  put_certificate(w, "mc-lease", "tgt-a", "tgt-b");
  slice_t id = put_job(
      w, &(job_spec_t){
             .type = S("Issuance"), .certificate = S("mc-lease"), .status = S("AwaitingCSR"), .max_attempts = 3});
  assert_int_equal(claim(w, w->a, "agent-a", &items), 1);
  assert_true(slice_eq(items[0].id, id));
  assert_int_equal(claim(w, w->a, "agent-b", &items), 0);
  assert_int_equal(claim(w, w->a, "agent-a", &items), 1);
  w->now = us_add_s(w->now, JOB_CSR_LEASE_S - 1);
  assert_int_equal(claim(w, w->a, "agent-b", &items), 0);
  w->now = us_add_s(w->now, JOB_CSR_LEASE_S + 1);
  assert_int_equal(claim(w, w->a, "agent-b", &items), 1);
  assert_int_equal(claim(w, w->a, "agent-a", &items), 0);
}

static void test_a_deployment_runs_under_a_lease_and_counts_its_attempts(void **state)
{
  world_t *w = *state;
  work_item_t *items;
  put_certificate(w, "mc-dep", "tgt-a", NULL);
  slice_t id = put_job(w, &(job_spec_t){.type = S("Deployment"),
                                        .certificate = S("mc-dep"),
                                        .target = S("tgt-a"),
                                        .agent = S("agent-a"),
                                        .status = S("Pending"),
                                        .max_attempts = 3});
  assert_int_equal(claim(w, w->a, "agent-b", &items), 0);
  assert_int_equal(claim(w, w->a, "agent-a", &items), 1);
  assert_true(slice_is(items[0].status, "Running") && slice_is(items[0].target_id, "tgt-a") &&
              slice_is(items[0].target_type, "NGINX"));
  assert_true(slice_is(world_text(w, "select status from jobs"), "Running"));
  assert_true(slice_is(world_text(w, "select lease_holder from jobs"), "agent-a"));
  assert_int_equal(world_number(w, "select lease_until from jobs"), us_add_s(w->now, JOB_LEASE_S).us);
  assert_int_equal(world_number(w, "select attempts from jobs"), 1);
  assert_int_equal(claim(w, w->a, "agent-a", &items), 1); /* its reply was lost: the same again */
  assert_true(slice_eq(items[0].id, id));
  assert_int_equal(world_number(w, "select attempts from jobs"), 2);
}

static void test_what_has_to_wait_is_not_shown(void **state)
{
  world_t *w = *state;
  work_item_t *items;
  put_certificate(w, "mc-wait", "tgt-a", NULL);
  (void)put_job(w, &(job_spec_t){.type = S("Deployment"),
                                 .certificate = S("mc-wait"),
                                 .target = S("tgt-a"),
                                 .agent = S("agent-a"),
                                 .status = S("Pending"),
                                 .max_attempts = 3});
  world_run(w, "jobs", "update jobs set next_run_at = next_run_at + 5000000");
  assert_int_equal(claim(w, w->a, "agent-a", &items), 0);
  w->now = us_add_s(w->now, 5);
  assert_int_equal(claim(w, w->a, "agent-a", &items), 1);
  world_run(w, "jobs", "update jobs set status = 'Cancelled', next_run_at = null");
  assert_int_equal(claim(w, w->a, "agent-a", &items), 0);
}

static bool among(texts_t t, const char *name)
{
  for (size_t i = 0; i < t.n; i++)
    if (slice_is(t.v[i], name)) return true;
  return false;
}

static texts_t with_work(world_t *w)
{
  texts_t t = {NULL, 0};
  err_t e = {0};
  must(jobs_agents_with_work(w->core.db, w->a, w->now, &t, &e), &e);
  return t;
}

static void test_agents_with_work(void **state)
{
  world_t *w = *state;
  work_item_t *items;
  assert_int_equal(with_work(w).n, 0);
  put_certificate(w, "mc-own", "tgt-a", NULL);
  (void)put_job(w, &(job_spec_t){.type = S("Issuance"),
                                 .certificate = S("mc-own"),
                                 .agent = S("agent-a"),
                                 .status = S("AwaitingCSR"),
                                 .max_attempts = 3});
  texts_t t = with_work(w);
  assert_true(t.n == 1 && among(t, "agent-a"));
  put_certificate(w, "mc-any", "tgt-a", "tgt-b");
  (void)put_job(
      w,
      &(job_spec_t){.type = S("Issuance"), .certificate = S("mc-any"), .status = S("AwaitingCSR"), .max_attempts = 3});
  t = with_work(w);
  assert_true(among(t, "agent-a") && among(t, "agent-b"));
  assert_int_equal(claim(w, w->a, "agent-b", &items), 1); /* leased: nobody else is woken for it */
  t = with_work(w);
  assert_true(among(t, "agent-a") && !among(t, "agent-b"));
  put_certificate(w, "mc-target", "tgt-b", NULL);
  (void)put_job(w, &(job_spec_t){.type = S("Deployment"),
                                 .certificate = S("mc-target"),
                                 .target = S("tgt-b"),
                                 .status = S("Pending"),
                                 .max_attempts = 3});
  assert_true(among(with_work(w), "agent-b"));
  assert_int_equal(claim(w, w->a, "agent-b", &items), 2);
  assert_false(among(with_work(w), "agent-b")); /* Running */
}

/* A second live issuance of one certificate for one agent is refused by the store itself. */
static void test_one_live_issuance_per_certificate_and_agent(void **state)
{
  world_t *w = *state;
  slice_t id;
  put_certificate(w, "mc-one", "tgt-a", NULL);
  const job_spec_t spec = {.type = S("Issuance"),
                           .certificate = S("mc-one"),
                           .agent = S("agent-a"),
                           .status = S("AwaitingCSR"),
                           .max_attempts = 3};
  (void)put_job(w, &spec);
  cmd_t *c = cmd_new(w->a);
  must(job_add(c, w->a, w->now, &spec, &id), NULL);
  assert_true(rc_is(world_submit(w, c), RC_CONFLICT));
  assert_int_equal(world_number(w, "select count(*) from jobs"), 1);
}

int main(void)
{
#define WITH_STORE(t) cmocka_unit_test_setup_teardown(t, setup, world_teardown)
  const struct CMUnitTest tests[] = {
      WITH_STORE(test_two_claimers_never_get_one_row),
      WITH_STORE(test_a_lease_is_shown_to_its_holder_again_and_to_others_when_it_is_over),
      WITH_STORE(test_a_deployment_runs_under_a_lease_and_counts_its_attempts),
      WITH_STORE(test_what_has_to_wait_is_not_shown),
      WITH_STORE(test_agents_with_work),
      WITH_STORE(test_one_live_issuance_per_certificate_and_agent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

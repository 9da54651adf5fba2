/* Issuing against a signer of the test's own: one command with it all, repetition, refusals, a signer that is gone. */
#include "world.h"

#include "core/inventory.h"
#include "core/issue.h"
#include "crypto/key.h"
#include "wire/pem.h"
#include "work/jobs.h"
#include "x509/csr_emit.h"
#include "x509/names.h"

static const actor_t operator_ = {.id = {(const uint8_t *)"root", 4}, .type = {(const uint8_t *)"APIKey", 6}};
static const actor_t agent = {.id = {(const uint8_t *)"agent-a", 7}, .type = {(const uint8_t *)"Agent", 5}};

static int setup(void **state)
{
  static world_t w;
  world_open(&w);
  world_signer(&w);
  world_agent(&w, "agent-a", "key a");
  world_target(&w, "tgt-a", "agent-a");
  *state = &w;
  return 0;
}

/* A certificate row; with a target it comes with its job. */
static certificate_t created(world_t *w, const char *id, bool with_target)
{
  static const slice_t targets[] = {{(const uint8_t *)"tgt-a", 5}};
  certificate_t c = world_certificate(w, id, "www.example.test");
  err_t e = {0};
  if (with_target) c.target_ids = (texts_t){targets, 1};
  must(inventory_create(&w->core, w->a, &c, &operator_, &e), &e);
  return c;
}

static slice_t csr_for(world_t *w, sigkey_t *key, const char *name)
{
  buf_t der = buf_on(w->a, 8192), pem = buf_on(w->a, 16384);
  name_t n;
  err_t e = {0};
  must(names_parse(w->a, slice_str(name), &n, &e), &e);
  must(csr_emit(key, slice_str(name), (names_t){&n, 1}, &der, &e), &e);
  pem_emit(&pem, "CERTIFICATE REQUEST", buf_slice(&der));
  must(buf_rc(&pem), NULL);
  return buf_slice(&pem);
}

static rc_t submit(world_t *w, const char *certificate, slice_t csr, const actor_t *who, err_t *e)
{
  *e = (err_t){0};
  return issue_csr(&w->core, w->a,
                   &(csr_submission_t){
                       .agent_id = S("agent-a"), .certificate_id = slice_str(certificate), .csr_pem = csr, .who = who},
                   e);
}

#define COUNT(what) world_number(w, "select count(*) from " what)

static void test_an_agents_request_becomes_version_deployment_and_audit(void **state)
{
  world_t *w = *state;
  err_t e;
  KEY_SCOPED sigkey_t *key = NULL;
  must(key_generate(KEY_P256, 0, &key, NULL), NULL);
  (void)created(w, "mc-1", true);
  assert_int_equal(COUNT("jobs where status = 'AwaitingCSR' and type = 'Issuance'"), 1);
  slice_t csr = csr_for(w, key, "www.example.test");
  must(submit(w, "mc-1", csr, &agent, &e), &e);
  assert_int_equal(
      COUNT("jobs where status = 'Completed' and type = 'Issuance' and attempts = 1 and next_run_at is null"), 1);
  assert_int_equal(
      COUNT("jobs where status = 'Pending' and type = 'Deployment' and agent_id = 'agent-a' and target_id = 'tgt-a'"),
      1);
  assert_int_equal(
      COUNT(
          "certificate_versions where certificate_id = 'mc-1' and agent_id = 'agent-a' and length(serial_number) = 40"),
      1);
  assert_int_equal(COUNT("managed_certificates where status = 'Active' and id = 'mc-1'"), 1);
  assert_int_equal(COUNT("audit_events where action = 'renewal_job_completed' and actor = 'agent-a'"), 1);
  assert_int_equal(world_number(w, "select expires_at from managed_certificates"),
                   world_number(w, "select not_after from certificate_versions"));

  must(submit(w, "mc-1", csr, &agent, &e), &e); /* its answer was lost: the same again changes nothing */
  assert_int_equal(COUNT("certificate_versions"), 1);
  assert_int_equal(COUNT("jobs"), 2);
  KEY_SCOPED sigkey_t *other = NULL;
  must(key_generate(KEY_P256, 0, &other, NULL), NULL);
  assert_true(rc_is(submit(w, "mc-1", csr_for(w, other, "www.example.test"), &agent, &e), RC_NOTFOUND));
  assert_string_equal(e.reason, "no_job");
}

static void test_a_refused_request_fails_its_job_and_says_why(void **state)
{
  world_t *w = *state;
  err_t e;
  KEY_SCOPED sigkey_t *key = NULL;
  must(key_generate(KEY_P256, 0, &key, NULL), NULL);
  (void)created(w, "mc-2", true);
  rc_t got = submit(w, "mc-2", csr_for(w, key, "evil.example.test"), &agent, &e);
  assert_true(rc_is(got, RC_INVALID) || rc_is(got, RC_DENIED));
  assert_string_equal(e.reason, "name_not_asked");
  assert_int_equal(COUNT("jobs where status = 'Failed' and attempts = 1 and last_error like '%evil.example.test%' and "
                         "next_run_at is not null"),
                   1);
  assert_int_equal(COUNT("certificate_versions"), 0);
  assert_int_equal(COUNT("audit_events where action = 'renewal_job_failed'"), 1);
  assert_int_equal(COUNT("managed_certificates where status = 'Failed'"), 1);
}

/* The policy's pause is for jobs with attempts left; the last one has no next. */
static void test_the_last_attempt_has_no_next(void **state)
{
  world_t *w = *state;
  err_t e;
  (void)created(w, "mc-2", true);
  world_run(w, "jobs", "update jobs set max_attempts = 3, attempts = 1");
  assert_false(rc_ok(submit(w, "mc-2", S("hello"), &agent, &e)));
  assert_int_equal(world_number(w, "select next_run_at from jobs where attempts = 2"), us_add_s(w->now, 60).us);
  world_run(w, "jobs", "update jobs set status = 'AwaitingCSR'");
  assert_false(rc_ok(submit(w, "mc-2", S("hello"), &agent, &e)));
  assert_int_equal(COUNT("jobs where status = 'Failed' and attempts = 3 and next_run_at is null"), 1);
}

/* Its own job comes before one that anybody may answer, whichever is older. */
static void test_an_agent_answers_its_own_job_first(void **state)
{
  static const char *const certificates[] = {"mc-own-first", "mc-own-last"};
  world_t *w = *state;
  KEY_SCOPED sigkey_t *key = NULL;
  must(key_generate(KEY_P256, 0, &key, NULL), NULL);
  for (size_t i = 0; i < COUNT_OF(certificates); i++) {
    err_t e;
    slice_t id;
    const job_spec_t spec = {
        .type = S("Renewal"), .certificate = slice_str(certificates[i]), .status = S("AwaitingCSR"), .max_attempts = 1};
    (void)created(w, certificates[i], true);
    if (i == 1) world_run(w, "jobs", "delete from jobs where certificate_id = 'mc-own-last'");
    job_spec_t own = spec;
    own.agent = S("agent-a");
    cmd_t *c = cmd_new(w->a);
    must(job_add(c, w->a, w->now, &spec, &id), NULL);
    if (i == 1) must(job_add(c, w->a, w->now, &own, &id), NULL);
    must(world_submit(w, c), NULL);
    must(submit(w, certificates[i], csr_for(w, key, "www.example.test"), &agent, &e), &e);
    assert_int_equal(COUNT("jobs where agent_id is null and status = 'Completed'"), 0);
  }
  assert_int_equal(COUNT("jobs where agent_id = 'agent-a' and status = 'Completed'"), 2);
}

typedef struct sender {
  world_t *w;
  arena_t *a;
  slice_t csr;
  rc_t got;
  pthread_t thread;
} sender_t;

static void *send_in_thread(void *self)
{
  sender_t *s = self;
  err_t e = {0};
  s->got = issue_csr(
      &s->w->core, s->a,
      &(csr_submission_t){.agent_id = S("agent-a"), .certificate_id = S("mc-1"), .csr_pem = s->csr, .who = &agent}, &e);
  return NULL;
}

/* A client that did not wait for its answer sends again: each is told that it has its certificate, which is one. */
static void test_the_same_request_several_times_at_once(void **state)
{
  world_t *w = *state;
  sender_t s[4];
  KEY_SCOPED sigkey_t *key = NULL;
  must(key_generate(KEY_P256, 0, &key, NULL), NULL);
  (void)created(w, "mc-1", true);
  slice_t csr = csr_for(w, key, "www.example.test");
  for (size_t i = 0; i < COUNT_OF(s); i++) {
    s[i] = (sender_t){.w = w, .a = arena_new(8 * 1024 * 1024), .csr = csr};
    assert_int_equal(pthread_create(&s[i].thread, NULL, send_in_thread, &s[i]), 0);
  }
  for (size_t i = 0; i < COUNT_OF(s); i++) pthread_join(s[i].thread, NULL);
  for (size_t i = 0; i < COUNT_OF(s); i++) {
    assert_true(rc_ok(s[i].got));
    arena_free(s[i].a);
  }
  assert_int_equal(COUNT("certificate_versions"), 1);
  assert_int_equal(COUNT("jobs where status = 'Completed'"), 1);
  assert_int_equal(COUNT("jobs where type = 'Deployment'"), 1);
}

static void test_a_request_that_is_none_fails_its_job(void **state)
{
  world_t *w = *state;
  err_t e;
  (void)created(w, "mc-3", true);
  assert_false(rc_ok(submit(w, "mc-3", S("hello"), &agent, &e)));
  assert_int_equal(COUNT("jobs where status = 'Failed' and length(last_error) > 5"), 1);
}

static void test_an_operator_needs_no_job(void **state)
{
  world_t *w = *state;
  err_t e;
  KEY_SCOPED sigkey_t *key = NULL;
  must(key_generate(KEY_P256, 0, &key, NULL), NULL);
  (void)created(w, "mc-4", false);
  slice_t csr = csr_for(w, key, "www.example.test");
  assert_true(rc_is(submit(w, "mc-4", csr, &agent, &e), RC_NOTFOUND));
  assert_true(rc_is(submit(w, "mc-none", csr, &operator_, &e), RC_NOTFOUND));
  must(submit(w, "mc-4", csr, &operator_, &e), &e);
  assert_int_equal(COUNT("certificate_versions"), 1);
  assert_int_equal(COUNT("audit_events where action = 'csr_submitted' and actor = 'root'"), 1);
}

static void test_what_may_not_be_issued_now(void **state)
{
  world_t *w = *state;
  err_t e;
  KEY_SCOPED sigkey_t *key = NULL;
  must(key_generate(KEY_P256, 0, &key, NULL), NULL);
  (void)created(w, "mc-5", false);
  slice_t csr = csr_for(w, key, "www.example.test");
  world_run(w, "issuers", "update issuers set enabled = false");
  assert_true(rc_is(submit(w, "mc-5", csr, &operator_, &e), RC_CONFLICT));
  assert_string_equal(e.reason, "issuer_disabled");
  world_run(w, "issuers", "update issuers set enabled = true");
  static const char *const ended[] = {"Archived", "Revoked"};
  for (size_t i = 0; i < COUNT_OF(ended); i++) {
    world_run(w, "managed_certificates",
              arena_text(w->a, arena_printf(w->a, "update managed_certificates set status = '%s'", ended[i])));
    assert_true(rc_is(submit(w, "mc-5", csr, &operator_, &e), RC_CONFLICT));
    assert_string_equal(e.reason, "certificate_state");
  }
  assert_int_equal(COUNT("certificate_versions"), 0);
}

/* The signer died: nothing is decided, the job waits on, the same request may be sent again. */
static void test_a_signer_that_is_gone_decides_nothing(void **state)
{
  world_t *w = *state;
  err_t e;
  KEY_SCOPED sigkey_t *key = NULL;
  must(key_generate(KEY_P256, 0, &key, NULL), NULL);
  (void)created(w, "mc-6", true);
  world_signer_gone(w);
  assert_true(rc_is(submit(w, "mc-6", csr_for(w, key, "www.example.test"), &agent, &e), RC_CLOSED));
  assert_int_equal(COUNT("jobs where status = 'AwaitingCSR' and attempts = 0 and last_error is null"), 1);
  assert_int_equal(COUNT("certificate_versions"), 0);
}

/* A kill between signature and commit: the next start finds the signature in the record and gives it its rows. */
static void test_a_signature_without_rows_is_adopted_at_start(void **state)
{
  world_t *w = *state;
  err_t e;
  KEY_SCOPED sigkey_t *key = NULL;
  must(key_generate(KEY_P256, 0, &key, NULL), NULL);
  (void)created(w, "mc-7", true);
  slice_t csr = csr_for(w, key, "www.example.test");
  must(submit(w, "mc-7", csr, &agent, &e), &e);
  static const char leaf[] =
      "select fingerprint_sha256 || serial_number || not_before || ' ' || not_after || key_algorithm "
      "|| key_size || pem_chain || agent_id from certificate_versions";
  slice_t before = world_text(w, leaf);
  world_run(w, "certificate_versions", "delete from certificate_versions");
  world_run(w, "jobs", "delete from jobs where type = 'Deployment'");
  world_run(w, "jobs", "update jobs set status = 'AwaitingCSR', attempts = 0, next_run_at = 1");
  for (long n = 0; n < 400 && COUNT("certificate_versions") == 0; n++) { /* through allocations that fail */
    e = (err_t){0};
    mem_fail_after(n);
    rc_t got = issue_adopt(&w->core, &e);
    mem_fail_after(-1);
    assert_true(rc_ok(got) || rc_is(got, RC_NOMEM));
  }
  assert_true(before.n > 0 && slice_eq(world_text(w, leaf), before));
  assert_int_equal(COUNT("jobs where status = 'Completed' and type = 'Issuance'"), 1);
  assert_int_equal(COUNT("jobs where status = 'Pending' and type = 'Deployment'"), 1);
  must(issue_adopt(&w->core, &e), &e);
  assert_int_equal(COUNT("certificate_versions"), 1);
  assert_int_equal(COUNT("jobs"), 2);
  must(submit(w, "mc-7", csr, &agent, &e), &e); /* who never got the answer asks again */
  assert_int_equal(COUNT("certificate_versions"), 1);
}

static void test_an_agent_gives_up(void **state)
{
  world_t *w = *state;
  err_t e = {0};
  (void)created(w, "mc-8", true);
  slice_t job = world_text(w, "select id from jobs");
  assert_true(rc_is(issue_give_up(&w->core, w->a, job, S("agent-b"), S("mine"), &agent, &e), RC_CONFLICT));
  must(issue_give_up(&w->core, w->a, job, S("agent-a"), S("no disk"), &agent, &e), &e);
  assert_int_equal(COUNT("jobs where status = 'Failed' and last_error = 'no disk' and attempts = 1"), 1);
}

/* Every allocation on the way fails in turn: all of it is stored or nothing, and sent again it comes out once. */
static void test_torture_of_an_issuance(void **state)
{
  world_t *w = *state;
  err_t e;
  KEY_SCOPED sigkey_t *key = NULL;
  must(key_generate(KEY_P256, 0, &key, NULL), NULL);
  (void)created(w, "mc-9", true);
  slice_t csr = csr_for(w, key, "www.example.test");
  rc_t got = rc(RC_NOMEM);
  int failures = 0;
  for (long n = 0; n < 400 && !rc_ok(got); n++) {
    arena_t *a = arena_new(4 * 1024 * 1024), *was = w->a;
    w->a = a;
    mem_fail_after(n);
    got = submit(w, "mc-9", csr, &agent, &e);
    mem_fail_after(-1);
    w->a = was;
    arena_free(a);
    failures += !rc_ok(got);
    assert_int_equal(COUNT("certificate_versions"), rc_ok(got));
    assert_int_equal(COUNT("jobs where type = 'Deployment'"), rc_ok(got));
    assert_int_equal(COUNT("jobs where status = 'AwaitingCSR'"), !rc_ok(got));
  }
  assert_true(rc_ok(got));
  assert_true(failures > 0);
}

int main(void)
{
#define WITH_SIGNER(t) cmocka_unit_test_setup_teardown(t, setup, world_teardown)
  const struct CMUnitTest tests[] = {
      WITH_SIGNER(test_an_agents_request_becomes_version_deployment_and_audit),
      WITH_SIGNER(test_a_refused_request_fails_its_job_and_says_why),
      WITH_SIGNER(test_the_last_attempt_has_no_next),
      WITH_SIGNER(test_an_agent_answers_its_own_job_first),
      WITH_SIGNER(test_the_same_request_several_times_at_once),
      WITH_SIGNER(test_a_request_that_is_none_fails_its_job),
      WITH_SIGNER(test_an_operator_needs_no_job),
      WITH_SIGNER(test_what_may_not_be_issued_now),
      WITH_SIGNER(test_a_signer_that_is_gone_decides_nothing),
      WITH_SIGNER(test_a_signature_without_rows_is_adopted_at_start),
      WITH_SIGNER(test_an_agent_gives_up),
      WITH_SIGNER(test_torture_of_an_issuance),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

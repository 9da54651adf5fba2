/* Which change of state of a job is allowed, written out a second time (spec/model.md 2.2). */
#include "model/job_state.h"
#include "model/resources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const edges[] = {
    "Pending>Running",
    "Pending>AwaitingCSR",
    "Pending>Cancelled",
    "Pending>Failed",
    "AwaitingCSR>Completed",
    "AwaitingCSR>Failed",
    "AwaitingCSR>Cancelled",
    "AwaitingApproval>Pending",
    "AwaitingApproval>AwaitingCSR",
    "AwaitingApproval>Failed",
    "AwaitingApproval>Cancelled",
    "Running>Running",
    "Running>Pending",
    "Running>Completed",
    "Running>Failed",
    "Running>Cancelled",
    "Failed>Pending",
    "Failed>AwaitingCSR",
};

static bool listed(const char *from, const char *to)
{
  for (size_t i = 0; i < COUNT_OF(edges); i++) {
    slice_t rest = slice_str(edges[i]), left;
    (void)slice_split(&rest, '>', &left);
    if (slice_is(left, from) && slice_is(rest, to)) return true;
  }
  return false;
}

static void test_only_listed_changes_are_allowed(void **state)
{
  size_t allowed = 0;
  (void)state;
  for (int f = 0; f < JOB_STATE_COUNT; f++)
    for (int t = 0; t < JOB_STATE_COUNT; t++) {
      bool want = listed(job_statuses[f], job_statuses[t]), is = job_state_allows((job_state_t)f, (job_state_t)t);
      if (want != is) fail_msg("%s to %s is %s", job_statuses[f], job_statuses[t], is ? "allowed" : "not allowed");
      allowed += is;
    }
  assert_int_equal(allowed, COUNT_OF(edges));
}

static void test_names_and_states_are_the_same_list(void **state)
{
  (void)state;
  for (int i = 0; i < JOB_STATE_COUNT; i++) {
    job_state_t s = JOB_STATE_COUNT;
    assert_non_null(job_statuses[i]);
    assert_true(rc_ok(job_state_parse(slice_str(job_statuses[i]), &s)));
    assert_int_equal(s, i);
  }
  assert_null(job_statuses[JOB_STATE_COUNT]);
}

static void test_texts_in_any_case_and_nothing_else(void **state)
{
  job_state_t s = JOB_FAILED;
  (void)state;
  assert_true(rc_ok(job_state_parse(S("awaitingcsr"), &s)));
  assert_int_equal(s, JOB_AWAITING_CSR);
  static const char *const bad[] = {"", "Exploded", "Running ", "Runnin"};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    assert_true(rc_is(job_state_parse(slice_str(bad[i]), &s), RC_INVALID));
    assert_int_equal(s, JOB_AWAITING_CSR);
  }
}

static void test_what_counts_as_under_way(void **state)
{
  static const bool live[JOB_STATE_COUNT] = {
      [JOB_PENDING] = true, [JOB_AWAITING_CSR] = true, [JOB_AWAITING_APPROVAL] = true, [JOB_RUNNING] = true};
  (void)state;
  for (int i = 0; i < JOB_STATE_COUNT; i++) assert_int_equal(job_state_live((job_state_t)i), live[i]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_only_listed_changes_are_allowed),
      cmocka_unit_test(test_names_and_states_are_the_same_list),
      cmocka_unit_test(test_texts_in_any_case_and_nothing_else),
      cmocka_unit_test(test_what_counts_as_under_way),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What the agent does between two polls. Server, jobs and clock are the test's. */
#include "agent/deploy.h"
#include "agent/poll.h"

#include "base/limits.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* One poll, as the server answers it. */
typedef struct answer {
  int status;              /* 0: none comes */
  const char *body;
  bool waits;
  int64_t took_ms;
} answer_t;

enum { ROUNDS_MAX = 16 };

static struct {
  int64_t mono_us;
  const answer_t *answers; /* the process is asked to stop behind the last one */
  size_t nanswers, npolls;
  int64_t pauses_ms[ROUNDS_MAX];
  size_t npauses;
  int heartbeats, recoveries;
  bool heartbeat_fails;
  int retire_at_heartbeat; /* number of the heartbeat, 0: none */
  size_t retire_at_poll;
  bool retired;
  size_t jobs_done, ticks;
  size_t stop_after_jobs;  /* 0: not */
} w;

static int64_t mono(void *self)
{
  return w.mono_us;
}

static const timesrc_t test_time = {NULL, mono, NULL};

bool link_is_retired(const link_t *l)
{
  return w.retired;
}

rc_t link_heartbeat(link_t *l, int64_t early_s, err_t *e)
{
  assert_int_equal(early_s, 25);
  w.retired = w.retired || ++w.heartbeats == w.retire_at_heartbeat;
  return w.heartbeat_fails ? err_set(e, RC_CLOSED, "test", NULL, "no answer") : rc(RC_OK);
}

rc_t link_work(link_t *l, arena_t *a, http_answer_t *ret, bool *ret_waits, err_t *e)
{
  assert_true(w.npolls < w.nanswers);
  const answer_t *x = &w.answers[w.npolls++];
  w.mono_us += x->took_ms * 1000;
  if (!x->status) return err_set(e, RC_CLOSED, "test", NULL, "no answer");
  w.retired = w.retired || w.npolls == w.retire_at_poll;
  *ret_waits = x->waits;
  *ret = (http_answer_t){.status = x->status, .body = slice_str(x->body)};
  return rc(RC_OK);
}

void link_tick(void *link)
{
  w.ticks++;
}

void link_pause(link_t *l, int64_t ms)
{
  assert_true(w.npauses < ROUNDS_MAX);
  w.pauses_ms[w.npauses++] = ms;
}

int64_t link_backoff_ms(const rng_t *rng, uint32_t failures)
{
  return 1000000 * (int64_t)failures;
}

rc_t work_item_read(const json_t *node, arena_t *a, work_item_t *ret, err_t *e)
{
  return json_as_text(node, &ret->id) ? rc(RC_OK) : err_set(e, RC_INVALID, "work_item", "jobs", "must hold texts here");
}

rc_t job_run(agent_t *g, const work_item_t *item, err_t *e)
{
  w.jobs_done++;
  return slice_is(item->id, "fails") ? err_set(e, RC_CONFLICT, "job_failed", NULL, "job failed") : rc(RC_OK);
}

rc_t deploy_recover(agent_t *g, err_t *e)
{
  w.recoveries++;
  return err_set(e, RC_IO, "test", NULL, "cannot be looked at"); /* and the work goes on */
}

static bool is_stopping(void *self)
{
  return w.npolls == w.nanswers || (w.stop_after_jobs > 0 && w.jobs_done >= w.stop_after_jobs);
}

/* Asked to stop behind the last answer's pause, so that there is one. */
static bool is_stopping_late(void *self)
{
  return w.npauses == w.nanswers;
}

static void polled(const answer_t *answers, size_t n, bool (*stopping)(void *))
{
  uint64_t seed = 42;
  rng_t rng = rng_seeded(&seed);
  agent_t agent = {.time = &test_time};
  w.answers = answers;
  w.nanswers = n;
  assert_true(rc_ok(poll_run(&agent, &rng, stopping, NULL, NULL)));
  assert_null(agent.arena);
  assert_int_equal(w.recoveries, 1);
}

static int fresh(void **state)
{
  memset(&w, 0, sizeof w);
  return 0;
}

#define NONE "{\"jobs\":[]}"
#define SOME "{\"jobs\":[\"j-1\"]}"

static void test_pauses(void **state)
{
  static const struct {
    answer_t answers[3];
    size_t n;
    int64_t least_ms, most_ms; /* behind the last one */
  } rows[] = {
    {{{200, SOME, true, 0}}, 1, 0, 0},
    {{{200, NONE, true, 0}}, 1, 250, 250},
    {{{200, NONE, true, 249}}, 1, 250, 250},
    {{{200, NONE, true, 250}}, 1, 0, 0},
    {{{200, "{}", true, 0}}, 1, 250, 250},
    {{{200, NONE, false, 50000}}, 1, 27000, 33000},
    {{{200, SOME, false, 0}}, 1, 0, 0},
    {{{200, SOME, true, 0}, {200, SOME, true, 0}}, 2, 5000, 5000},
    {{{200, SOME, true, 0}, {200, "{\"jobs\":[\"j-2\"]}", true, 0}}, 2, 0, 0},
    {{{200, NONE, true, 300}, {200, NONE, true, 300}}, 2, 0, 0}, /* nothing twice is not the same work */
    {{{200, SOME, true, 0}, {200, NONE, true, 300}, {200, SOME, true, 0}}, 3, 0, 0},
    {{{0}}, 1, 1000000, 1000000},
    {{{500, SOME, true, 0}}, 1, 1000000, 1000000},
    {{{201, SOME, true, 0}}, 1, 1000000, 1000000},
    {{{200, "<html>", true, 0}}, 1, 1000000, 1000000},
    {{{200, "{\"jobs\":7}", true, 0}}, 1, 1000000, 1000000},
    {{{0}, {503, "", true, 0}}, 2, 2000000, 2000000},
    {{{0}, {200, NONE, true, 0}, {0}}, 3, 1000000, 1000000},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    memset(&w, 0, sizeof w);
    polled(rows[i].answers, rows[i].n, is_stopping_late);
    assert_int_equal(w.npauses, rows[i].n);
    int64_t ms = w.pauses_ms[rows[i].n - 1];
    if (ms < rows[i].least_ms || ms > rows[i].most_ms) fail_msg("row %zu: %lld ms", i, (long long)ms);
    assert_int_equal(w.heartbeats, rows[i].n);
  }
}

static void test_each_item_is_done(void **state)
{
  static const answer_t answers[] = {{200, "{\"jobs\":[\"a\",7,\"fails\",\"b\"]}", true, 0}};
  polled(answers, 1, is_stopping_late);
  assert_int_equal(w.jobs_done, 3);
  assert_int_equal(w.ticks, 4);
}

/* No more than LIM_WORK_ITEMS; the rest come with the next poll. */
static void test_a_long_list_is_taken_in_parts(void **state)
{
  static char body[8 * LIM_WORK_ITEMS];
  static const answer_t answers[] = {{200, body, true, 0}};
  for (size_t n = LIM_WORK_ITEMS - 1; n <= LIM_WORK_ITEMS + 1; n++) {
    size_t at = 0;
    memset(&w, 0, sizeof w);
    memcpy(body, "{\"jobs\":[", 9);
    at = 9;
    for (size_t i = 0; i < n; i++, at += 4) memcpy(body + at, i ? ",\"a\"" : " \"a\"", 4);
    memcpy(body + at, "]}", 3);
    polled(answers, 1, is_stopping_late);
    assert_int_equal(w.jobs_done, n < LIM_WORK_ITEMS ? n : LIM_WORK_ITEMS);
  }
}

static void test_stops_between_two_items(void **state)
{
  static const answer_t answers[] = {{200, "{\"jobs\":[\"a\",\"b\",\"c\"]}", true, 0}, {200, NONE, true, 0}};
  w.stop_after_jobs = 2;
  polled(answers, 2, is_stopping);
  assert_int_equal(w.jobs_done, 2);
  assert_int_equal(w.npolls, 1);
}

static void test_a_poll_given_up_to_stop_is_no_failure(void **state)
{
  static const answer_t answers[] = {{0}};
  polled(answers, 1, is_stopping);
  assert_int_equal(w.npauses, 0);
}

static void test_a_failed_heartbeat_does_not_keep_from_work(void **state)
{
  static const answer_t answers[] = {{200, SOME, true, 0}};
  w.heartbeat_fails = true;
  polled(answers, 1, is_stopping_late);
  assert_int_equal(w.jobs_done, 1);
}

/* By the heartbeat no poll is made any more; by the poll nothing of its answer is done. */
static void test_retirement_ends_the_work(void **state)
{
  static const answer_t answers[] = {{200, SOME, true, 0}, {200, "{\"jobs\":[\"j-2\"]}", true, 0}, {200, NONE, true, 0}};
  w.retire_at_heartbeat = 2;
  polled(answers, 3, is_stopping_late);
  assert_int_equal(w.npolls, 1);
  memset(&w, 0, sizeof w);
  w.retire_at_poll = 2;
  polled(answers, 3, is_stopping_late);
  assert_int_equal(w.npolls, 2);
  assert_int_equal(w.jobs_done, 1);
  memset(&w, 0, sizeof w);
  w.retired = true;
  polled(answers, 3, is_stopping_late);
  assert_int_equal(w.heartbeats, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup(f, fresh)
    T(test_pauses),
    T(test_each_item_is_done),
    T(test_a_long_list_is_taken_in_parts),
    T(test_stops_between_two_items),
    T(test_a_poll_given_up_to_stop_is_no_failure),
    T(test_a_failed_heartbeat_does_not_keep_from_work),
    T(test_retirement_ends_the_work),
  };
  log_setup(LOG_ERROR, false);
  return cmocka_run_group_tests(tests, NULL, NULL);
}

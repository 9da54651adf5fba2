/* The agent's line to its server, under a clock of the test and with an HTTP client of the test behind it. */
#include "agent/link.h"

#include "base/log.h"
#include "io/proc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* --- the world: a clock, a server that answers by a script, a process that may be asked to stop --- */

typedef struct outcome {
  int status;              /* 0: none, `code` instead */
  int32_t code;
  int64_t took_ms;
} outcome_t;

enum { CALLS_MAX = 512 };

static struct {
  int64_t mono_us;
  outcome_t script[4];     /* the last one for ever */
  size_t nscript;
  const char *applied;     /* Preference-Applied */
  bool stopping;
  bool stop_at_pause;
  http_client_options_t options;
  struct {
    http1_method_t method;
    char path[1024], headers[512], body[1024];
    int64_t timeout_ms;
    bool goes_on;          /* what the tick of the client said */
  } calls[CALLS_MAX];
  size_t ncalls;
  int64_t pauses_ms[CALLS_MAX];
  size_t npauses;
  link_t *link;
  uint64_t seed;
} w;

static int64_t mono(void *self)
{
  return w.mono_us;
}

static const timesrc_t test_time = {NULL, mono, NULL};

static bool is_stopping(void *self)
{
  return w.stopping;
}

rc_t http_client_new(const http_client_options_t *o, http_client_t **ret, err_t *e)
{
  w.options = *o;
  *ret = NULL;
  return rc(RC_OK);
}

void http_client_free(http_client_t *c)
{
}

static http1_head_t head;

rc_t http_client_call(http_client_t *c, const http_call_t *call, arena_t *a, http_answer_t *ret, err_t *e)
{
  assert_true(w.ncalls < CALLS_MAX);
  const outcome_t *x = &w.script[w.ncalls < w.nscript ? w.ncalls : w.nscript - 1];
  snprintf(w.calls[w.ncalls].path, sizeof w.calls->path, "%.*s", SLICE_ARG(call->path));
  snprintf(w.calls[w.ncalls].headers, sizeof w.calls->headers, "%.*s", SLICE_ARG(call->headers));
  snprintf(w.calls[w.ncalls].body, sizeof w.calls->body, "%.*s", SLICE_ARG(call->body));
  w.calls[w.ncalls].method = call->method;
  w.calls[w.ncalls].timeout_ms = call->timeout_ms;
  w.calls[w.ncalls++].goes_on = w.options.tick(w.options.self);
  w.mono_us += x->took_ms * 1000;
  link_tick(w.link); /* as a connector does while it waits */
  if (!x->status) return err_set(e, x->code, "test", NULL, "no answer");
  head = (http1_head_t){.status = x->status};
  if (w.applied) head.fields[head.nfields++] = (http1_field_t){S("Preference-Applied"), slice_str(w.applied)};
  *ret = (http_answer_t){.status = x->status, .head = &head, .body = S("{}")};
  return rc(RC_OK);
}

void proc_pause(int64_t ms, const timesrc_t *time, void (*tick)(void *self), void *self)
{
  assert_true(w.npauses < CALLS_MAX);
  w.pauses_ms[w.npauses++] = ms;
  w.mono_us += ms * 1000;
  if (w.stop_at_pause) w.stopping = true;
  if (tick) tick(self);
}

static arena_t *arena;
static rng_t rng;

static rc_t make(const char *agent_id, const char *api_key, err_t *e)
{
  rng = rng_seeded(&w.seed);
  return link_new(&(link_options_t){.agent_id = slice_str(agent_id), .api_key = slice_str(api_key), .version = S("1.2"), .time = &test_time,
                                    .rng = &rng, .stopping = is_stopping}, &w.link, e);
}

static int fresh(void **state)
{
  memset(&w, 0, sizeof w);
  w.mono_us = INT64_C(1000000000);
  w.seed = 42;
  w.script[0].status = 200;
  w.nscript = 1;
  arena = arena_new(1 << 20);
  return arena && rc_ok(make("agent/1", "k-1", NULL)) ? 0 : -1;
}

static int gone(void **state)
{
  link_free(w.link);
  arena_free(arena);
  return 0;
}

/* The heartbeat that is due at first, out of the way. */
static void first_heartbeat(void)
{
  assert_true(rc_ok(link_heartbeat(w.link, 0, NULL)));
  w.ncalls = 0;
}

static rc_t call(int *ret_status, err_t *e)
{
  http_answer_t answer = {0};
  rc_t r = link_call(w.link, HTTP1_POST, S("/jobs/j/status"), S("{\"x\":1}"), arena, &answer, e);
  *ret_status = answer.status;
  return r;
}

/* --- what is sent --- */

static void test_calls_carry_who_asks(void **state)
{
  int status;
  bool waits = true;
  http_answer_t answer;
  first_heartbeat();
  assert_true(rc_ok(call(&status, NULL)));
  assert_string_equal(w.calls[0].path, "/api/v1/jobs/j/status");
  assert_int_equal(w.calls[0].method, HTTP1_POST);
  assert_string_equal(w.calls[0].body, "{\"x\":1}");
  assert_int_equal(w.calls[0].timeout_ms, LINK_CALL_MS);
  const char *at = strstr(w.calls[0].headers, "Certctl-Instance: ");
  assert_non_null(at);
  assert_int_equal(strspn(at + 18, "0123456789abcdef"), LINK_INSTANCE_HEX);
  assert_true(slice_starts(slice_str(w.calls[0].headers), S("Authorization: Bearer k-1\r\nContent-Type: application/json\r\n")));
  assert_null(strstr(w.calls[0].headers, "Prefer"));
  assert_true(rc_ok(link_work(w.link, arena, &answer, &waits, NULL)));
  assert_false(waits);
  assert_string_equal(w.calls[1].path, "/api/v1/agents/agent%2F1/work");
  assert_int_equal(w.calls[1].timeout_ms, LINK_POLL_MS);
  assert_non_null(strstr(w.calls[1].headers, "\r\nPrefer: wait=50\r\n"));
  w.applied = "wait=5";
  assert_true(rc_ok(link_work(w.link, arena, &answer, &waits, NULL)));
  assert_false(waits);
  w.applied = "WAIT=50";
  assert_true(rc_ok(link_work(w.link, arena, &answer, &waits, NULL)));
  assert_true(waits);
}

static void test_keys_and_ids_that_fit_in_a_request(void **state)
{
  static const struct {
    const char *key;
    bool fits;
  } rows[] = {{"!k~", true}, {"", false}, {"a b", false}, {"a\r\nX: y", false}, {"a\x7f", false}, {"\x80", false}, {"a\x1f", false}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    link_free(w.link);
    w.link = NULL;
    assert_int_equal(rc_ok(make("a", rows[i].key, &e)), rows[i].fits);
    if (!rows[i].fits) assert_string_equal(e.field, "CERTCTL_API_KEY");
  }
  char id[769];
  memset(id, 'a', sizeof id);
  for (size_t n = 767; n <= 768; n++) {
    err_t e = {0};
    id[n] = '\0';
    link_free(w.link);
    w.link = NULL;
    assert_int_equal(rc_ok(make(id, "k", &e)), n == 767);
    if (n == 768) assert_string_equal(e.field, "CERTCTL_AGENT_ID");
    id[n] = 'a';
  }
}

/* --- patience --- */

static void test_only_what_passes_is_tried_again(void **state)
{
  static const outcome_t rows[] = {{429, 0, 0}, {502, 0, 0}, {503, 0, 0}, {504, 0, 0}, {0, RC_TIMEOUT, 0}, {0, RC_CLOSED, 0}, {0, RC_IO, 0}, {0, RC_DENIED, 0}};
  static const outcome_t finals[] = {{200, 0, 0}, {202, 0, 0}, {400, 0, 0}, {401, 0, 0}, {404, 0, 0}, {410, 0, 0}, {428, 0, 0}, {430, 0, 0}, {500, 0, 0},
                                     {501, 0, 0}, {505, 0, 0}, {0, RC_NOMEM, 0}, {0, RC_FULL, 0}};
  int status;
  first_heartbeat();
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    w.script[0] = rows[i];
    w.script[1] = (outcome_t){201, 0, 0};
    w.nscript = 2;
    w.ncalls = w.npauses = 0;
    assert_true(rc_ok(call(&status, NULL)));
    assert_int_equal(status, 201);
    assert_int_equal(w.ncalls, 2);
    assert_in_range(w.pauses_ms[0], 900, 1100);
  }
  for (size_t i = 0; i < COUNT_OF(finals); i++) {
    err_t e = {0};
    w.script[0] = finals[i];
    w.nscript = 1;
    w.ncalls = 0;
    rc_t r = call(&status, &e);
    assert_int_equal(r.code, finals[i].code);
    assert_int_equal(status, finals[i].status);
    assert_int_equal(w.ncalls, 1);
    assert_int_equal(e.reason != NULL, !rc_ok(r));
  }
  assert_false(link_is_retired(w.link)); /* 410 to another call than heartbeat and poll is about something else */
}

/* Two minutes, counted at the end of a try; then the last outcome is the outcome. */
static void test_patience_ends(void **state)
{
  static const struct {
    outcome_t each;
    size_t calls;
  } rows[] = {{{503, 0, LINK_PATIENCE_S * 1000}, 1}, {{503, 0, LINK_PATIENCE_S * 1000 - 1}, 2}, {{0, RC_TIMEOUT, LINK_PATIENCE_S * 500}, 2}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    int status;
    w.script[0] = (outcome_t){200, 0, 0};
    w.nscript = 1;
    w.mono_us += 1000 * US_PER_S;
    first_heartbeat();
    w.script[0] = rows[i].each;
    rc_t r = call(&status, NULL);
    assert_int_equal(r.code, rows[i].each.code);
    assert_int_equal(status, rows[i].each.status);
    size_t tried = 0;
    for (size_t k = 0; k < w.ncalls; k++) tried += w.calls[k].path[8] == 'j'; /* not the heartbeats in between */
    assert_int_equal(tried, rows[i].calls);
  }
}

static void test_one_more_try_when_asked_to_stop(void **state)
{
  int status;
  first_heartbeat();
  w.script[0] = (outcome_t){503, 0, 0};
  w.stop_at_pause = true;
  assert_true(rc_ok(call(&status, NULL)));
  assert_int_equal(status, 503);
  assert_int_equal(w.ncalls, 2);
}

static void test_only_a_waiting_poll_is_given_up(void **state)
{
  int status;
  bool waits;
  http_answer_t answer;
  first_heartbeat();
  for (int stopping = 0; stopping < 2; stopping++) {
    w.stopping = stopping;
    w.ncalls = 0;
    assert_true(rc_ok(call(&status, NULL)));
    assert_true(rc_ok(link_work(w.link, arena, &answer, &waits, NULL)));
    assert_true(w.calls[0].goes_on);
    assert_int_equal(w.calls[1].goes_on, !stopping);
  }
}

static void test_pauses_are_short_naps(void **state)
{
  first_heartbeat();
  link_pause(w.link, 0);
  assert_int_equal(w.npauses, 0);
  link_pause(w.link, 2500);
  assert_int_equal(w.npauses, 3);
  assert_int_equal(w.pauses_ms[0] + w.pauses_ms[1], 2000);
  assert_int_equal(w.pauses_ms[2], 500);
  w.stop_at_pause = true;
  link_pause(w.link, 5000);
  assert_int_equal(w.npauses, 4);
  link_pause(w.link, 5000);
  assert_int_equal(w.npauses, 4);
}

/* --- heartbeat --- */

/* Milliseconds until the heartbeat after one that was sent now; `twin` draws what the link drew. */
static int64_t drawn_ms(rng_t *twin)
{
  return 54000 + (int64_t)rng_below(twin, 12000);
}

static void test_heartbeats_come_about_every_minute(void **state)
{
  uint64_t seed = 42;
  uint8_t instance[LINK_INSTANCE_HEX / 2];
  rng_t twin = rng_seeded(&seed);
  rng_fill(&twin, instance, sizeof instance);
  assert_true(rc_ok(link_heartbeat(w.link, 0, NULL)));
  assert_int_equal(w.ncalls, 1);
  assert_string_equal(w.calls[0].path, "/api/v1/agents/agent%2F1/heartbeat");
  assert_non_null(strstr(w.calls[0].body, "{\"version\":\"1.2\",\"hostname\":"));
  int64_t due_us = w.mono_us + drawn_ms(&twin) * 1000;
  w.mono_us = due_us - 1;
  assert_true(rc_ok(link_heartbeat(w.link, 0, NULL)));
  assert_int_equal(w.ncalls, 1);
  w.mono_us = due_us;
  assert_true(rc_ok(link_heartbeat(w.link, 0, NULL)));
  assert_int_equal(w.ncalls, 2);
  due_us = w.mono_us + drawn_ms(&twin) * 1000;
  w.mono_us = due_us - 25 * US_PER_S - 1;
  assert_true(rc_ok(link_heartbeat(w.link, 25, NULL)));
  assert_int_equal(w.ncalls, 2);
  w.mono_us++;
  assert_true(rc_ok(link_heartbeat(w.link, 25, NULL))); /* early */
  assert_int_equal(w.ncalls, 3);
}

static void test_failed_heartbeats_are_repeated_soon(void **state)
{
  static const outcome_t bad[] = {{500, 0, 0}, {0, RC_CLOSED, 0}, {404, 0, 0}};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    static const int64_t least_s[] = {0, 1, 2, 5};
    w.script[0] = bad[i];
    w.mono_us += 1000 * US_PER_S;
    for (size_t k = 1; k < COUNT_OF(least_s); k++) {
      w.ncalls = 0;
      assert_false(rc_ok(link_heartbeat(w.link, 0, NULL)));
      w.mono_us += least_s[k] * 900000 - 1;
      assert_true(rc_ok(link_heartbeat(w.link, 0, NULL)));
      assert_int_equal(w.ncalls, 1);
      w.mono_us += least_s[k] * 200000 + 1;
    }
    w.script[0] = (outcome_t){200, 0, 0};
    first_heartbeat();
  }
}

static void test_retired_by_heartbeat_or_poll(void **state)
{
  bool waits;
  http_answer_t answer;
  w.script[0] = (outcome_t){410, 0, 0};
  assert_true(rc_ok(link_heartbeat(w.link, 0, NULL)));
  assert_true(link_is_retired(w.link));
  w.mono_us += 1000 * US_PER_S;
  assert_true(rc_ok(link_heartbeat(w.link, 0, NULL)));
  assert_int_equal(w.ncalls, 1);
  link_pause(w.link, 1000);
  assert_int_equal(w.npauses, 0);
  (void)gone(NULL);
  assert_int_equal(fresh(NULL), 0);
  first_heartbeat();
  w.script[0] = (outcome_t){409, 0, 0};
  assert_true(rc_ok(link_work(w.link, arena, &answer, &waits, NULL)));
  assert_false(link_is_retired(w.link));
  w.script[0] = (outcome_t){410, 0, 0};
  assert_true(rc_ok(link_work(w.link, arena, &answer, &waits, NULL)));
  assert_true(link_is_retired(w.link));
}

/* The tick of a connector or of the call itself does not begin a second one. */
static void test_no_heartbeat_within_a_call(void **state)
{
  int status;
  assert_true(rc_ok(call(&status, NULL)));
  assert_int_equal(w.ncalls, 1);
  link_tick(w.link);
  assert_int_equal(w.ncalls, 2);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
    T(test_calls_carry_who_asks),
    T(test_keys_and_ids_that_fit_in_a_request),
    T(test_only_what_passes_is_tried_again),
    T(test_patience_ends),
    T(test_one_more_try_when_asked_to_stop),
    T(test_only_a_waiting_poll_is_given_up),
    T(test_pauses_are_short_naps),
    T(test_heartbeats_come_about_every_minute),
    T(test_failed_heartbeats_are_repeated_soon),
    T(test_retired_by_heartbeat_or_poll),
    T(test_no_heartbeat_within_a_call),
  };
  log_setup(LOG_ERROR, false);
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "net/http_intake.h"
#include "net/http_reply.h"
#include "net/park.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void plan(void *self, const http1_head_t *head, http_plan_t *ret)
{
  ret->body_max = slice_is(head->path, "/none") ? 0 : 8;
  ret->status = slice_is(head->path, "/gone") ? 404 : 0;
}

static const http_app_t app = {.plan = plan};

/* Feeds in pieces; returns the last step, with what was left unread in *ret_left. */
static http_step_t feed(http_intake_t *in, const char *text, size_t piece, int *ret_status, size_t *ret_left)
{
  slice_t all = slice_str(text);
  http_step_t step = HTTP_MORE;
  while (all.n && (step == HTTP_MORE || step == HTTP_CONTINUE)) {
    slice_t part = slice_sub(all, 0, piece);
    size_t n = part.n;
    step = http_intake_feed(in, &part, &app, ret_status);
    all = slice_sub(all, n - part.n, all.n);
  }
  *ret_left = all.n;
  return step;
}

static void test_steps(void **state)
{
  static const struct {
    const char *text;
    http_step_t step;
    int status;
    const char *body;
    size_t left;
  } rows[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", HTTP_READY, 0, "", 3},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n12345678GET", HTTP_READY, 0, "12345678", 3},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", HTTP_REFUSED, 413, "", 0},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET", HTTP_READY, 0, "", 3},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n0\r\n\r\nGET", HTTP_READY, 0, "12345678", 3},
    {"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789GET", HTTP_READY, 0, "", 3},
    {"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 4097\r\n\r\n", HTTP_REFUSED, 413, "", 0},
    {"POST /gone HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789GET", HTTP_READY, 0, "", 3},
    {"POST /gone HTTP/1.1\r\nHost: a\r\nContent-Length: 4097\r\n\r\n", HTTP_REFUSED, 404, "", 0},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n1234", HTTP_MORE, 0, "", 0},
    {"GET / HTTP/1.1\r\n", HTTP_MORE, 0, "", 0},
  };
  static const size_t pieces[] = {1, 3, 1000};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    for (size_t k = 0; k < COUNT_OF(pieces); k++) {
      http_intake_t in;
      memset(&in, 0, sizeof in);
      http_intake_init(&in);
      int status = 0;
      size_t left;
      http_step_t step = feed(&in, rows[i].text, pieces[k], &status, &left);
      if (step != rows[i].step || status != rows[i].status) fail_msg("row %zu in pieces of %zu: step %d, status %d", i, pieces[k], (int)step, status);
      if (step == HTTP_READY) {
        assert_int_equal(left, rows[i].left);
        assert_true(slice_is(http_intake_body(&in), rows[i].body));
      }
      http_intake_fini(&in);
    }
  }
}

static void test_restore(void **state)
{
  http_intake_t a, b;
  memset(&a, 0, sizeof a);
  memset(&b, 0, sizeof b);
  http_intake_init(&a);
  http_intake_init(&b);
  int status;
  size_t left;
  assert_int_equal(feed(&a, "POST /x?y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 5, &status, &left), HTTP_READY);
  assert_int_equal(http_intake_restore(&b, buf_slice(&a.text), http_intake_body(&a), &a.plan).code, RC_OK);
  assert_true(slice_eq(b.head.query, S("y")) && slice_eq(http_intake_body(&b), S("abc")) && b.done);
  http_intake_fini(&a);
  http_intake_fini(&b);
}

static void test_no_memory(void **state)
{
  const char *text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  for (long n = 0; n < 2; n++) {
    http_intake_t in;
    memset(&in, 0, sizeof in);
    http_intake_init(&in);
    int status = 0;
    size_t left;
    mem_fail_after(n);
    assert_int_equal(feed(&in, text, 1000, &status, &left), HTTP_REFUSED);
    mem_fail_after(-1);
    assert_int_equal(status, 503);
    http_intake_fini(&in);
  }
}

static void test_date(void **state)
{
  static const struct {
    civil_t when;
    const char *text;
  } rows[] = {
    {{1994, 11, 6, 8, 49, 37, 0}, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"}, /* RFC 9110 5.6.7 */
    {{1970, 1, 1, 0, 0, 0, 5}, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"},
    {{1969, 12, 31, 23, 59, 59, 0}, "Date: Wed, 31 Dec 1969 23:59:59 GMT\r\n"},
    {{2024, 2, 29, 12, 0, 0, 999999}, "Date: Thu, 29 Feb 2024 12:00:00 GMT\r\n"},
    {{2026, 11, 25, 2, 16, 11, 0}, "Date: Wed, 25 Nov 2026 02:16:11 GMT\r\n"},
  };
  http_stamp_t st = {0};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    us_t t;
    assert_int_equal(civil_to_us(&rows[i].when, &t).code, RC_OK);
    buf_t out BUF_SCOPED = buf_heap(4096);
    http_reply_put(&out, &st, t, &(http_reply_t){.status = 200, .version = 11, .keep_alive = true, .body = S("x")});
    buf_byte(&out, 0);
    if (!strstr((const char *)out.p, rows[i].text)) fail_msg("%s is not in %s", rows[i].text, (const char *)out.p);
  }
}

static int woken;

static void count_woken(park_entry_t *en) { woken++; }

static void test_park_index(void **state)
{
  enum { N = 3000 };
  static park_entry_t en[N];
  park_t *p = park_new();
  assert_non_null(p);
  char key[32];
  for (int i = 0; i < N; i++) {
    int n = snprintf(key, sizeof key, "agent-%d", i / 2);
    assert_true(park_add(p, &en[i], 'a', slice_of(key, (size_t)n), park_now(p)));
  }
  assert_int_equal(park_count(p), N);
  arena_t *a = arena_new(1 << 20);
  static slice_t keys[N];
  assert_int_equal(park_list(p, 'a', keys, N, a), N / 2); /* each key once */
  assert_int_equal(park_list(p, 'a', keys, 10, a), 10);
  assert_int_equal(park_list(p, 'b', keys, N, a), 0);
  arena_free(a);
  park_wake(p, 'b', S("agent-7"), count_woken);
  assert_int_equal(woken, 0);
  park_wake(p, 'a', S("agent-7"), count_woken);
  assert_int_equal(woken, 2);
  assert_false(park_del(p, &en[14]));
  for (int i = 0; i < N; i++) assert_int_equal(park_del(p, &en[i]), i != 14 && i != 15);
  assert_int_equal(park_count(p), 0);
  /* A wake between looking and parking is not lost; one before looking does not count. */
  uint64_t since = park_now(p);
  park_wake(p, 'a', S("x"), count_woken);
  assert_false(park_add(p, &en[0], 'a', S("x"), since));
  assert_true(park_add(p, &en[0], 'a', S("x"), park_now(p)));
  assert_true(park_del(p, &en[0]));
  park_free(p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_steps), cmocka_unit_test(test_restore), cmocka_unit_test(test_no_memory),
    cmocka_unit_test(test_date),  cmocka_unit_test(test_park_index),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

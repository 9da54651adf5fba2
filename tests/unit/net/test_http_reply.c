/* The bytes of a response: date, ids, which lines come when. */
#include "net/http_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static http_stamp_t stamp;

/* The reply to r at a time, in a text that lives until the next call. */
static const char *reply(us_t now, http_reply_t r)
{
  static char text[4096];
  buf_t b BUF_SCOPED = buf_heap(sizeof text - 1);
  http_reply_put(&b, &stamp, now, &r);
  assert_true(rc_ok(buf_rc(&b)));
  memcpy(text, b.p, b.n);
  text[b.n] = 0;
  return text;
}

static void test_dates(void **state)
{
  static const struct {
    int64_t second;
    const char *line;
  } t[] = {
      {0, "\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"},
      {-1, "\r\nDate: Wed, 31 Dec 1969 23:59:59 GMT\r\n"},
      {-86400, "\r\nDate: Wed, 31 Dec 1969 00:00:00 GMT\r\n"},
      {-86401, "\r\nDate: Tue, 30 Dec 1969 23:59:59 GMT\r\n"},
      {784111777, "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"}, /* RFC 9110 5.6.7 */
      {784111778, "\r\nDate: Sun, 06 Nov 1994 08:49:38 GMT\r\n"},
      {1767225599, "\r\nDate: Wed, 31 Dec 2025 23:59:59 GMT\r\n"},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    for (int64_t us = 0; us < US_PER_S; us += US_PER_S - 1) {
      const char *text = reply((us_t){t[i].second * US_PER_S + us}, (http_reply_t){.status = 200, .body = S("x")});
      if (!strstr(text, t[i].line)) fail_msg("not \"%s\" but %.200s", t[i].line, text);
    }
  }
}

static void test_lines(void **state)
{
  static const struct {
    int status, version;
    bool head_only, keep_alive, length, body;
    const char *connection; /* NULL: no such line */
  } t[] = {
      {200, 11, false, true, true, true, NULL},
      {200, 11, false, false, true, true, "Connection: close\r\n"},
      {200, 10, false, true, true, true, "Connection: keep-alive\r\n"},
      {200, 10, false, false, true, true, "Connection: close\r\n"},
      {200, 11, true, true, true, false, NULL},
      {199, 11, false, true, false, false, NULL},
      {204, 11, false, true, false, false, NULL},
      {205, 11, false, true, true, true, NULL},
      {304, 11, false, true, false, false, NULL},
      {303, 11, false, true, true, true, NULL},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    http_reply_t r = {.status = t[i].status, .version = t[i].version, .head_only = t[i].head_only, .keep_alive = t[i].keep_alive,
                      .request_id = S("the-id"), .headers = S("X-Own: 1\r\n"), .body = S("body")};
    const char *text = reply((us_t){0}, r), *end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    assert_string_equal(end + 4, t[i].body ? "body" : "");
    assert_int_equal(strstr(text, "\r\nContent-Length: 4\r\n") != NULL, t[i].length);
    assert_int_equal(strstr(text, "Content-Length") != NULL, t[i].length);
    assert_non_null(strstr(text, "\r\nX-Request-ID: the-id\r\nX-Own: 1\r\n"));
    assert_int_equal(strstr(text, "Connection:") != NULL, t[i].connection != NULL);
    if (t[i].connection) assert_non_null(strstr(text, t[i].connection));
  }
}

static void test_ids_differ(void **state)
{
  enum { IDS = 1000 };
  static char ids[IDS][UUID_LEN + 1];
  for (size_t i = 0; i < IDS; i++) {
    http_stamp_id(&stamp, ids[i]);
    assert_int_equal(strlen(ids[i]), UUID_LEN);
    for (size_t k = 0; k < i; k++) assert_string_not_equal(ids[i], ids[k]);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_dates), cmocka_unit_test(test_lines), cmocka_unit_test(test_ids_differ)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

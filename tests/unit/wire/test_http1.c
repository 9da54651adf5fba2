#include "wire/http1.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static http1_head_t head;
static err_t err;

/* Result code of parsing the whole text at once; the head stays in `head`. */
static int parse(const char *text)
{
  size_t scan = 0;
  err = (err_t){0};
  return http1_request(slice_str(text), &scan, &head, &err).code;
}

/* The same byte by byte: every prefix must ask for more until the end decides. */
static int parse_slowly(slice_t in)
{
  size_t scan = 0;
  for (size_t n = 1; n <= in.n; n++) {
    uint8_t *copy = malloc(n); /* exact size: the sanitizer sees a read behind it */
    assert_non_null(copy);
    memcpy(copy, in.p, n);
    err = (err_t){0};
    int code = http1_request(slice_of(copy, n), &scan, &head, &err).code;
    free(copy);
    if (code != RC_AGAIN) return code;
  }
  return RC_AGAIN;
}

#define ASSERT_SLICE(s, text) \
  do { \
    slice_t got_ = (s); \
    assert_int_equal(got_.n, strlen(text)); \
    assert_memory_equal(got_.p, text, got_.n); \
  } while (0)

static void test_request(void **state)
{
  const char *text = "POST /api/v1/agents?a=1&b=?2 HTTP/1.1\r\nHost: example.test:8443\r\nContent-Length: 12\r\n"
                     "X-Blank: \t a b \t\r\nEXPECT: 100-Continue\r\nX-Empty:\r\nX-Blanks: \t\r\n"
                     "connection: foo, Close\r\n\r\nbody";
  assert_int_equal(parse(text), RC_OK);
  assert_int_equal(head.method, HTTP1_POST);
  assert_int_equal(head.version, 11);
  assert_int_equal(head.size, strlen(text) - 4);
  ASSERT_SLICE(head.target, "/api/v1/agents?a=1&b=?2");
  ASSERT_SLICE(head.path, "/api/v1/agents");
  ASSERT_SLICE(head.query, "a=1&b=?2");
  ASSERT_SLICE(head.host, "example.test:8443");
  ASSERT_SLICE(http1_header(&head, "x-blank"), "a b");
  ASSERT_SLICE(http1_header(&head, "X-EMPTY"), "");
  ASSERT_SLICE(http1_header(&head, "X-Blanks"), "");
  assert_null(http1_header(&head, "x-none").p);
  assert_int_equal(head.content_length, 12);
  assert_true(head.expect_continue);
  assert_false(head.keep_alive);
  assert_false(head.chunked);
}

/* Text, and what must come out: RC_OK or the HTTP status of the refusal. */
static const struct {
  const char *text;
  int want; /* 0: accepted */
} cases[] = {
  {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
  {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
  {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET / HTTP/1.0\r\n\r\n", 0},
  {"GET / HTTP/1.1\r\n\r\n", 400},
  {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
  {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
  {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
  {"PRI * HTTP/2.0\r\n\r\n", 505},
  {"GET / HTTP/11\r\nHost: a\r\n\r\n", 400},
  {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
  {"GET /\r\nHost: a\r\n\r\n", 400},
  {"GET\r\n\r\n", 400},
  {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
  {"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
  {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501},
  {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
  {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET http://b.test/x HTTP/1.1\r\nHost: a\r\n\r\n", 0},
  {"GET HTTPS://b.test HTTP/1.1\r\nHost: a\r\n\r\n", 0},
  {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET http://u@b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET ftp://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: a:port\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n", 0},
  {"GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 0},
  {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", 0},
  {"GET / HTTP/1.1\r\nHost: [::]\r\n\r\n", 0},
  {"GET / HTTP/1.1\r\nHost: [::ffff:192.0.2.1]\r\n\r\n", 0},
  {"GET / HTTP/1.1\r\nHost: [:]\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: [::1]443\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: [::1]:4a\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\r\n\r\n", 0},
  {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: a\r\nX\x80: a\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\t2\r\n\r\n", 400},
  {"GET / HTTP/1.1\r\nHost: a\r\nExpect: coffee\r\n\r\n", 417},
  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", 400},
  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 2\r\n\r\n", 400},
  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400},
  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n", 0},
  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", 400},
  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", 0},
  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400},
  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400},
  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400},
  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n", 400},
  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400},
  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0b" "chunked\r\n\r\n", 400},
};

static void test_cases(void **state)
{
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    for (int slow = 0; slow < 2; slow++) {
      int code = slow ? parse_slowly(slice_str(cases[i].text)) : parse(cases[i].text);
      int got = code == RC_OK ? 0 : code == RC_AGAIN ? -1 : http1_status(&err);
      if (got != cases[i].want)
        fail_msg("case %zu %s: %d, not %d: %s", i, slow ? "slowly" : "at once", got, cases[i].want, cases[i].text);
    }
  }
}

/* Refusals that share a status are told apart by their reason. */
static void test_reasons(void **state)
{
  static const char *const rows[][2] = {
    {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", "http_fold"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\t2\r\n\r\n", "http_fold"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\n\r\n\r\n", "http_bare_lf"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\x01\r\n\r\n", "http_field_value"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY\r\n\r\n", "http_bare_cr"},
    {"GET\r\nHost: a\r\n\r\n", "http_method"},
    {" / HTTP/1.1\r\nHost: a\r\n\r\n", "http_method"},
    {"GET  HTTP/1.1\r\nHost: a\r\n\r\n", "http_target"},
    {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "http_target"},
    {"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", "http_target"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    (void)parse(rows[i][0]);
    if (!err.reason || strcmp(err.reason, rows[i][1]) != 0)
      fail_msg("row %zu: %s, not %s", i, err.reason ? err.reason : "accepted", rows[i][1]);
  }
  err = (err_t){.reason = "of another parser"};
  assert_int_equal(http1_status(&err), 400);
  assert_int_equal(http1_status(NULL), 400);
}

static void test_methods(void **state)
{
  static const char *const names[] = {"", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", ""};
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    char text[64];
    assert_string_equal(http1_method_name((http1_method_t)i), names[i]);
    snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\n\r\n", names[i]);
    assert_int_equal(parse(text), names[i][0] ? RC_OK : RC_SYNTAX);
    if (names[i][0]) assert_int_equal(head.method, i);
  }
  assert_string_equal(http1_reason(100), "Continue");
  assert_string_equal(http1_reason(505), "HTTP Version Not Supported");
  assert_string_equal(http1_reason(299), "");
}

static void test_forms(void **state)
{
  assert_int_equal(parse("GET http://b.test:80?q HTTP/1.1\r\nHost: a\r\n\r\n"), RC_OK);
  ASSERT_SLICE(head.host, "b.test:80");
  ASSERT_SLICE(head.path, "/");
  ASSERT_SLICE(head.query, "q");
  assert_int_equal(parse("OPTIONS http://b.test HTTP/1.1\r\nHost: a\r\n\r\n"), RC_OK);
  ASSERT_SLICE(head.path, "*");
  assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), RC_OK);
  assert_true(head.keep_alive);
  assert_non_null(http1_header(&head, "connection").p);
  assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n"), RC_OK);
  assert_null(http1_header(&head, "connection").p); /* that was the message before */
  assert_int_equal(parse("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), RC_OK);
  assert_false(head.keep_alive);
  assert_false(head.expect_continue);
}

/* A message of n filler bytes in the target, or in `fields` header fields. */
static int limit_case(size_t target, size_t fields, size_t value, bool slowly)
{
  buf_t b = buf_heap(1 << 20);
  buf_puts(&b, "GET /");
  for (size_t i = 1; i < target; i++) buf_byte(&b, 'a');
  buf_puts(&b, " HTTP/1.1\r\nHost: a\r\n");
  for (size_t i = 1; i < fields; i++) {
    buf_puts(&b, "X: ");
    for (size_t k = 0; k < value; k++) buf_byte(&b, 'v');
    buf_puts(&b, "\r\n");
  }
  buf_puts(&b, "\r\n");
  assert_int_equal(buf_rc(&b).code, RC_OK);
  size_t scan = 0, step = slowly ? 97 : b.n;
  int code = RC_AGAIN;
  for (size_t n = step < b.n ? step : b.n; code == RC_AGAIN; n = n + step < b.n ? n + step : b.n) {
    err = (err_t){0};
    code = http1_request(slice_of(b.p, n), &scan, &head, &err).code;
    if (n == b.n) break;
  }
  buf_fini(&b);
  return code == RC_OK ? 0 : code == RC_AGAIN ? -1 : http1_status(&err);
}

static void test_limits(void **state)
{
  for (int slow = 0; slow < 2; slow++) {
    assert_int_equal(limit_case(LIM_HTTP_TARGET, 1, 0, slow), 0);
    assert_int_equal(limit_case(LIM_HTTP_TARGET + 1, 1, 0, slow), 414);
    assert_int_equal(err.limit, LIM_HTTP_TARGET);
    assert_int_equal(limit_case(3 * LIM_HTTP_TARGET, 1, 0, slow), 414);
    assert_int_equal(limit_case(1, LIM_HTTP_HEADERS, 1, slow), 0);
    assert_int_equal(limit_case(1, LIM_HTTP_HEADERS + 1, 1, slow), 431);
    assert_int_equal(err.limit, LIM_HTTP_HEADERS);
    assert_int_equal(limit_case(1, 2, LIM_HTTP_HEAD - 32, slow), 0);
    assert_int_equal(head.size, LIM_HTTP_HEAD);
    assert_int_equal(limit_case(1, 2, LIM_HTTP_HEAD - 31, slow), 431);
    assert_int_equal(err.limit, LIM_HTTP_HEAD);
  }
}

/* A line that cannot end any more within its limit is refused before it ends. */
static void test_limit_of_an_unfinished_line(void **state)
{
  char line[LIM_HTTP_TARGET + 65];
  memset(line, 'a', sizeof line);
  for (size_t n = sizeof line - 1; n <= sizeof line; n++) {
    size_t scan = 0;
    err = (err_t){0};
    assert_int_equal(http1_request(slice_of(line, n), &scan, &head, &err).code, n < sizeof line ? RC_AGAIN : RC_FULL);
  }
  assert_int_equal(http1_status(&err), 414);
}

static int response(const char *text, http1_method_t m)
{
  size_t scan = 0;
  err = (err_t){0};
  return http1_response(slice_str(text), &scan, m, &head, &err).code;
}

static void test_response(void **state)
{
  assert_int_equal(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", HTTP1_GET), RC_OK);
  assert_int_equal(head.status, 200);
  assert_int_equal(head.content_length, 5);
  ASSERT_SLICE(head.reason, "OK");
  assert_true(head.keep_alive);
  assert_int_equal(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP1_HEAD), RC_OK);
  assert_int_equal(head.content_length, 0);
  assert_int_equal(response("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", HTTP1_GET), RC_OK);
  assert_int_equal(head.content_length, 0);
  assert_int_equal(response("HTTP/1.1 204\r\n\r\n", HTTP1_GET), RC_OK);
  assert_int_equal(head.content_length, 0);
  assert_int_equal(response("HTTP/1.1 100 Continue\r\n\r\n", HTTP1_GET), RC_OK);
  assert_int_equal(head.content_length, 0);
  assert_int_equal(response("HTTP/1.1 599 X\r\nContent-Length: 1\r\n\r\n", HTTP1_GET), RC_OK);
  assert_int_equal(head.content_length, 1);
  assert_int_equal(response("HTTP/1.1 200 OK\r\n\r\n", HTTP1_GET), RC_OK);
  assert_true(head.until_close);
  assert_false(head.keep_alive);
  assert_int_equal(response("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP1_GET), RC_OK);
  assert_true(head.keep_alive && !head.until_close);
  assert_int_equal(response("HTTP/1.1 200 OK\rX\r\n\r\n", HTTP1_GET), RC_SYNTAX);
  assert_string_equal(err.reason, "http_status_line");
  assert_int_equal(response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP1_GET), RC_OK);
  assert_true(head.chunked);
  static const char *const bad[] = {
    "HTTP/1.1 20 OK\r\n\r\n",  "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 600 X\r\n\r\n",  "HTTP/2 200 OK\r\n\r\n",    "HTTP/1.1 200 OK\n\n",      "HTTP/1.1 200 O\x01K\r\n\r\n",
    "\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 099 X\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA : 5\r\n\r\n",
  };
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    int code = response(bad[i], HTTP1_GET);
    if (code == RC_OK || code == RC_AGAIN) fail_msg("accepted: %s", bad[i]);
  }
  assert_int_equal(response("HTTP/1.1 200 OK\r\nContent-Le", HTTP1_GET), RC_AGAIN);
}

/* Decodes in pieces of `step` bytes; the rest behind the body is left in *ret_rest. */
static int chunks(const char *text, size_t step, size_t cap, buf_t *body, size_t *ret_rest)
{
  http1_chunks_t c = {0};
  slice_t all = slice_str(text);
  int code = RC_AGAIN;
  *body = buf_heap(cap);
  err = (err_t){0};
  while (code == RC_AGAIN && all.n) {
    slice_t in = slice_sub(all, 0, step);
    size_t before = in.n;
    code = http1_chunks_feed(&c, &in, body, &err).code;
    all = slice_sub(all, before - in.n, all.n);
  }
  *ret_rest = all.n;
  return code;
}

static void test_chunks(void **state)
{
  static const struct {
    const char *text;
    int want;
    const char *body;
  } rows[] = {
    {"5\r\nhello\r\n0\r\n\r\nGET", RC_OK, "hello"},
    {"1\r\na\r\n0A;x=\"y\"\r\n0123456789\r\n000\r\nT: v\r\nU:\r\n\r\nGET", RC_OK, "a0123456789"},
    {"0\r\n\r\nGET", RC_OK, ""},
    {"5\r\nhel", RC_AGAIN, "hel"},
    {"0\r\n\r", RC_AGAIN, ""},
    {"\r\n", RC_SYNTAX, ""},
    {" 5\r\nhello\r\n0\r\n\r\n", RC_SYNTAX, ""},
    {"5 \r\nhello\r\n0\r\n\r\n", RC_SYNTAX, ""},
    {"+5\r\nhello\r\n0\r\n\r\n", RC_SYNTAX, ""},
    {"5\nhello\r\n0\r\n\r\n", RC_SYNTAX, ""},
    {"5\r\nhello0\r\n\r\n", RC_SYNTAX, "hello"},
    {"5\r\nhello\n0\r\n\r\n", RC_SYNTAX, "hello"},
    {"5;a\x01\r\nhello\r\n0\r\n\r\n", RC_SYNTAX, ""},
    {"5;a\nhello\r\n0\r\n\r\n", RC_SYNTAX, ""},
    {"1000000000000000\r\n", RC_FULL, ""},
    {"fffffffffffffff\r\nab", RC_FULL, ""},
    {"0\r\nT : v\r\n\r\n", RC_SYNTAX, ""},
    {"0\r\n T: v\r\n\r\n", RC_SYNTAX, ""},
    {"0\r\n\tT: v\r\n\r\n", RC_SYNTAX, ""},
    {"0\r\nT: v\n\r\n", RC_SYNTAX, ""},
    {"0\r\nT: v\rx\r\n\r\n", RC_SYNTAX, ""},
    {"0\r\n\n", RC_SYNTAX, ""},
    {"9\r\n123456789\r\n9\r\n", RC_AGAIN, "123456789"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    static const size_t steps[] = {1, 2, 7, 1000};
    for (size_t k = 0; k < COUNT_OF(steps); k++) {
      buf_t body;
      size_t rest;
      int code = chunks(rows[i].text, steps[k], 64, &body, &rest);
      if (code != rows[i].want) fail_msg("row %zu in steps of %zu: %d, not %d", i, steps[k], code, rows[i].want);
      if (code == RC_OK || code == RC_AGAIN) ASSERT_SLICE(buf_slice(&body), rows[i].body);
      if (code == RC_OK) assert_int_equal(rest, 3);
      buf_fini(&body);
    }
  }
}

static void test_chunk_limits(void **state)
{
  buf_t body;
  size_t rest;
  assert_int_equal(chunks("5\r\nhello\r\n0\r\n\r\n", 100, 5, &body, &rest), RC_OK);
  buf_fini(&body);
  assert_int_equal(chunks("3\r\nhel\r\n3\r\nlox\r\n0\r\n\r\n", 100, 5, &body, &rest), RC_FULL);
  assert_int_equal(http1_status(&err), 413);
  buf_fini(&body);
  static const char *const folded[] = {"0\r\n T: v", "0\r\n\tT: v"};
  for (size_t i = 0; i < COUNT_OF(folded); i++) {
    assert_int_equal(chunks(folded[i], 100, 5, &body, &rest), RC_SYNTAX);
    assert_string_equal(err.reason, "http_fold");
    buf_fini(&body);
  }
  static const struct {
    const char *text;
    int want;
  } sizes[] = {{"6", RC_AGAIN}, {"5\r\n", RC_AGAIN}, {"6\r\n", RC_FULL}}; /* a size may have more digits; then it decides */
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    assert_int_equal(chunks(sizes[i].text, 100, 5, &body, &rest), sizes[i].want);
    buf_fini(&body);
  }
  buf_t text = buf_heap(1 << 16);
  for (int i = 0; i < 500; i++) buf_puts(&text, "1;aaaaaaaaaa\r\nx\r\n");
  buf_byte(&text, 0);
  assert_int_equal(chunks((const char *)text.p, 1000, 1000, &body, &rest), RC_FULL);
  assert_string_equal(err.reason, "http_chunk_extra");
  assert_int_equal(err.limit, LIM_HTTP_CHUNK_EXTRA);
  buf_fini(&body);
  static const char *const begun[] = {"0;", "0\r\nT:"}; /* an extension; a trailer of which two bytes are there */
  for (size_t k = 0; k < COUNT_OF(begun); k++)
    for (size_t over = 0; over <= 1; over++) {
      buf_reset(&text);
      buf_puts(&text, begun[k]);
      for (size_t i = 2 * k; i < LIM_HTTP_CHUNK_EXTRA + over; i++) buf_byte(&text, 'a');
      buf_byte(&text, 0);
      assert_int_equal(chunks((const char *)text.p, 1000, 10, &body, &rest), over ? RC_FULL : RC_AGAIN);
      buf_fini(&body);
    }
  buf_fini(&text);
}

/* One of the strings of a flat JSON line; only the escapes that the data uses. */
static bool json_text(const char *line, const char *key, buf_t *out)
{
  char want[32];
  snprintf(want, sizeof want, "\"%s\": \"", key);
  const char *p = strstr(line, want);
  if (!p) return false;
  for (p += strlen(want); *p && *p != '"'; p++) {
    if (*p != '\\') {
      buf_byte(out, (uint8_t)*p);
      continue;
    }
    p++;
    char hex[5] = {0};
    switch (*p) {
    case 'r': buf_byte(out, '\r'); break;
    case 'n': buf_byte(out, '\n'); break;
    case 't': buf_byte(out, '\t'); break;
    case 'u':
      memcpy(hex, p + 1, 4);
      buf_byte(out, (uint8_t)strtoul(hex, NULL, 16));
      p += 4;
      break;
    default: buf_byte(out, (uint8_t)*p); break;
    }
  }
  return true;
}

/* Head and body of one request as a server reads them; the HTTP status of the refusal, 0 when accepted. */
static int whole(slice_t in)
{
  size_t scan = 0;
  err = (err_t){0};
  rc_t r = http1_request(in, &scan, &head, &err);
  if (!rc_ok(r)) return rc_is(r, RC_AGAIN) ? -1 : http1_status(&err);
  if (!head.chunked) return 0;
  http1_chunks_t c = {0};
  buf_t body = buf_heap(1024);
  slice_t rest = slice_sub(in, head.size, in.n);
  r = http1_chunks_feed(&c, &rest, &body, &err);
  buf_fini(&body);
  return rc_ok(r) ? 0 : rc_is(r, RC_AGAIN) ? -1 : http1_status(&err);
}

static void test_shared_data(void **state)
{
  char path[1024];
  snprintf(path, sizeof path, "%s/../shared/data/http-malformed.jsonl",
           getenv("CERTCTL_SOURCE_ROOT") ? getenv("CERTCTL_SOURCE_ROOT") : ".");
  FILE *f = fopen(path, "r");
  if (!f) {
    print_message("shared data not there (%s): skipped\n", path);
    skip();
    return;
  }
  char line[4096];
  size_t n = 0;
  while (fgets(line, sizeof line, f)) {
    buf_t name = buf_heap(256), text = buf_heap(4096);
    assert_true(json_text(line, "name", &name) && json_text(line, "request", &text));
    int got = whole(buf_slice(&text));
    bool right = (got >= 400 && got < 500) || got == 501 || got == 505;
    if (!right) fail_msg("\"%.*s\": %d", SLICE_ARG(buf_slice(&name)), got);
    buf_fini(&name);
    buf_fini(&text);
    n++;
  }
  (void)fclose(f);
  assert_true(n >= 28);
}

static void test_text_that_cannot_end_its_line(void **state)
{
  for (int c = 0; c < 256; c++) {
    const uint8_t text[] = {'a', (uint8_t)c, 'b'};
    assert_int_equal(http1_visible((slice_t){text, 3}), c > ' ' && c <= '~');
  }
  assert_true(http1_visible(S("")));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_request), cmocka_unit_test(test_cases),  cmocka_unit_test(test_reasons), cmocka_unit_test(test_methods),
    cmocka_unit_test(test_forms), cmocka_unit_test(test_limits), cmocka_unit_test(test_limit_of_an_unfinished_line),  cmocka_unit_test(test_response), cmocka_unit_test(test_chunks),
    cmocka_unit_test(test_chunk_limits), cmocka_unit_test(test_shared_data), cmocka_unit_test(test_text_that_cannot_end_its_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

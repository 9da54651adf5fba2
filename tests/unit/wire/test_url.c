/* URLs: path segments, queries, encoding, base URLs. */
#include "base/check.h"
#include "wire/url.h"
#include "../arena.h"

static void test_decode(void **state)
{
  static const char *const rows[][3] = { /* text, as a segment, as a form's value */
    {"", "", ""},
    {"..", "..", ".."},
    {"a%20b", "a b", "a b"},
    {"c+d", "c+d", "c d"},
    {"x%2Fy", "x/y", "x/y"},
    {"%e2%82%ac", "\xe2\x82\xac", "\xe2\x82\xac"},
    {"%2e%2E", "..", ".."},
    {"%5f%5A%c3%af%C3%AF", "_Z\xc3\xaf\xc3\xaf", "_Z\xc3\xaf\xc3\xaf"},
    {"a%01%10", "a\x01\x10", "a\x01\x10"},
  };
  static const char *const bad[] = {"%", "%2", "%2g", "%zz", "%00", "a%00b", "%ff", "%c0%af", "\xff", "a/%g0"};
  for (int form = 0; form < 2; form++) {
    slice_t v = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
      assert_true(rc_ok(url_decode(arena, slice_str(rows[i][0]), form, &v)));
      assert_true(v.p && slice_is(v, rows[i][1 + form]));
    }
    v = S("untouched");
    for (size_t i = 0; i < COUNT_OF(bad); i++)
      assert_int_equal(url_decode(arena, slice_str(bad[i]), form, &v).code, RC_SYNTAX);
    assert_int_equal(url_decode(arena, S("a\0"), form, &v).code, RC_SYNTAX);
    assert_true(slice_is(v, "untouched"));
  }
}

static void test_query(void **state)
{
  slice_t query = S("a=1&b=x+y%2B&&a=2&flag&e=&c%3d=%3D&s=a=b"), v = {0};
#define IS(name, want)                                            \
  do {                                                            \
    v = (slice_t){NULL, 0};                                       \
    assert_true(rc_ok(url_query(arena, query, name, &v)));        \
    assert_true(v.p && slice_is(v, want));                        \
  } while (0)
  IS("a", "1");
  IS("b", "x y+");
  IS("flag", "");
  IS("e", "");
  IS("c=", "=");
  IS("s", "a=b");
  v = (slice_t){NULL, 0};
  assert_true(rc_ok(url_query(arena, query, "absent", &v)) && !v.p);
  assert_true(rc_ok(url_query(arena, (slice_t){NULL, 0}, "a", &v)) && !v.p);
  assert_true(rc_ok(url_query(arena, S(""), "a", &v)) && !v.p);
  assert_int_equal(url_query(arena, S("a=%"), "a", &v).code, RC_SYNTAX);
  assert_int_equal(url_query(arena, S("a=%00"), "a", &v).code, RC_SYNTAX);
  assert_int_equal(url_query(arena, S("b=%zz&a=1"), "a", &v).code, RC_SYNTAX);
  assert_int_equal(url_query(arena, S("a=%ff"), "a", &v).code, RC_SYNTAX);
}

/* decode(encode(x)) = x for any text, as a segment and as a query value. */
static void test_encode(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(1024);
  slice_t all = S("aZ0-._~ /?#[]@!$&'()*+,;=%\x01\x7f\xc3\xa9"), v;
  url_encode(&b, all);
  assert_true(slice_starts(buf_slice(&b), S("aZ0-._~%20%2F%3F%23")));
  assert_true(rc_ok(url_decode(arena, buf_slice(&b), false, &v)) && slice_eq(v, all));
  assert_true(rc_ok(url_decode(arena, buf_slice(&b), true, &v)) && slice_eq(v, all));
  ARENA_SCOPED arena_t *small = arena_new(4);
  assert_int_equal(url_decode(small, buf_slice(&b), true, &v).code, RC_NOMEM);
}

static void test_base(void **state)
{
  static const struct {
    const char *text, *host, *authority, *path;
    uint16_t port;
  } rows[] = {
    {"https://localhost:8443", "localhost", "localhost:8443", "", 8443},
    {"HTTPS://Ca.example/", "Ca.example", "Ca.example", "", 443},
    {" https://10.0.0.1:1/certctl/ ", "10.0.0.1", "10.0.0.1:1", "/certctl", 1},
    {"https://[::1]:8443/a/b", "::1", "[::1]:8443", "/a/b", 8443},
    {"https://[2001:db8::1]", "2001:db8::1", "[2001:db8::1]", "", 443},
    {"https://h:65535", "h", "h:65535", "", 65535},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    url_base_t u;
    err_t e = {0};
    if (!rc_ok(url_base_parse(slice_str(rows[i].text), &u, &e))) fail_msg("%s: %s", rows[i].text, e.reason);
    assert_true(slice_is(u.host, rows[i].host) && slice_is(u.authority, rows[i].authority) && slice_is(u.path, rows[i].path));
    assert_int_equal(u.port, rows[i].port);
    assert_int_equal(u.v6, rows[i].authority[0] == '[');
  }
  char longest[8 + 254 + 1] = "https://"; /* a DNS name has 253 characters at most */
  url_base_t longest_base;
  memset(longest + 8, 'h', 254);
  assert_true(rc_ok(url_base_parse(slice_of(longest, 8 + 253), &longest_base, NULL)));
  assert_false(rc_ok(url_base_parse(slice_of(longest, 8 + 254), &longest_base, NULL)));
  static const char *const bad[][2] = {
    {"", "url_empty"},
    {"  ", "url_empty"},
    {"http://h", "url_http"},
    {"HTTP://h", "url_http"},
    {"h:8443", "url_no_scheme"},
    {"localhost", "url_no_scheme"},
    {"//h", "url_no_scheme"},
    {"://h", "url_no_scheme"},
    {"ftp://h", "url_scheme"},
    {"httpss://h", "url_scheme"},
    {"https://", "url_host"},
    {"https:///x", "url_host"},
    {"https://:8443", "url_host"},
    {"https://[::1", "url_host"},
    {"https://[]:1", "url_host"},
    {"https://[g::1]", "url_host"},
    {"https://a b", "url_host"},
    {"https://a\r\nX: y", "url_host"},
    {"https://h:", "url_port"},
    {"https://h:0", "url_port"},
    {"https://h:65536", "url_port"},
    {"https://h:+1", "url_port"},
    {"https://h:1x", "url_port"},
    {"https://[::1]x", "url_port"},
    {"https://a:b:c", "url_port"},
    {"https://u:p@h", "url_extra"},
    {"https://h?x", "url_extra"},
    {"https://h/#x", "url_extra"},
  };
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    url_base_t u;
    err_t e = {0};
    slice_t copy = arena_dup(arena, slice_str(bad[i][0])); /* so that a look behind the end is seen */
    assert_int_equal(url_base_parse(copy, &u, &e).code, RC_INVALID);
    if (strcmp(e.reason, bad[i][1]) != 0) fail_msg("%s: %s, expected %s", bad[i][0], e.reason, bad[i][1]);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    T(test_decode), T(test_query), T(test_encode), T(test_base),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

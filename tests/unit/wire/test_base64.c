/* Base64; vectors from RFC 4648 10. */
#include "base/check.h"
#include "wire/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_vectors(void **state)
{
  static const char *const rows[][3] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/", "-_-_"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    BUF_SCOPED buf_t std = buf_heap(64), url = buf_heap(64);
    uint8_t out[16];
    size_t n = 99;
    slice_t raw = slice_str(rows[i][0]);
    base64_encode(&std, BASE64_STD, raw);
    base64_encode(&url, BASE64_URL, raw);
    assert_true(slice_is(buf_slice(&std), rows[i][1]));
    assert_true(slice_is(buf_slice(&url), rows[i][2]));
    assert_true(rc_ok(base64_decode(BASE64_STD, slice_str(rows[i][1]), out, raw.n, &n)));
    assert_true(slice_eq(slice_of(out, n), raw));
    assert_true(rc_ok(base64_decode(BASE64_URL, slice_str(rows[i][2]), out, raw.n, &n)));
    assert_true(slice_eq(slice_of(out, n), raw));
    if (raw.n) assert_true(rc_is(base64_decode(BASE64_STD, slice_str(rows[i][1]), out, raw.n - 1, &n), RC_FULL));
  }
}

static void test_refused(void **state)
{
  static const struct {
    base64_form_t form;
    const char *text;
  } rows[] = {
    {BASE64_STD, "Z"},      {BASE64_STD, "Zg"},     {BASE64_STD, "Zg="},     {BASE64_STD, "Zg==="},  {BASE64_STD, "Zh=="},
    {BASE64_STD, "Zm9="},   {BASE64_STD, "Zm 9v"},  {BASE64_STD, "Zm9v\n"},  {BASE64_STD, "Zg==Zg=="}, {BASE64_STD, "-_-_"},
    {BASE64_STD, "===="},   {BASE64_URL, "Zg=="},   {BASE64_URL, "+/+/"},    {BASE64_URL, "Zh"},     {BASE64_URL, "Z"},
    {BASE64_WS, "Zm9v\001"}, {BASE64_WS, "Zg= =Z"}, {BASE64_WS, "Zm9v:"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    uint8_t out[16];
    size_t n = 99;
    if (rc_ok(base64_decode(rows[i].form, slice_str(rows[i].text), out, sizeof out, &n)))
      fail_msg("accepted %s", rows[i].text);
    assert_int_equal(n, 99);
  }
}

static void test_white_space(void **state)
{
  uint8_t out[16];
  size_t n;
  assert_true(rc_ok(base64_decode(BASE64_WS, S(" Zm\r\n9v\tYg\v=\f=\n"), out, sizeof out, &n)));
  assert_true(slice_eq(slice_of(out, n), S("foob")));
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_refused), cmocka_unit_test(test_white_space)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Results, error records, checked sizes. */
#include "base/check.h"
#include "base/rc.h"
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void codes_have_names(void **state)
{
  assert_string_equal(rc_name(rc(RC_OK)), "ok");
  assert_string_equal(rc_name(rc(RC_NOTFOUND)), "not found");
  assert_string_equal(rc_name(rc(RC_INTERNAL)), "internal");
  assert_string_equal(rc_name(rc(RC_INTERNAL - 1)), "unknown");
  assert_string_equal(rc_name(rc(1)), "unknown");
  assert_true(rc_ok(rc(RC_OK)) && !rc_ok(rc(RC_IO)) && rc_is(rc(RC_IO), RC_IO));
}

static rc_t tried(rc_t first, bool *reached)
{
  TRY(first);
  *reached = true;
  return rc(RC_OK);
}

static void try_returns_the_failure(void **state)
{
  bool reached = false;
  assert_true(rc_is(tried(rc(RC_GONE), &reached), RC_GONE));
  assert_false(reached);
  assert_true(rc_ok(tried(rc(RC_OK), &reached)));
  assert_true(reached);
}

static void format_is(const err_t *e, const char *expected)
{
  char out[256];
  assert_int_equal(err_format(e, out, sizeof out), strlen(expected));
  assert_string_equal(out, expected);
}

static void errors_are_formatted(void **state)
{
  err_t e = {0};
  assert_true(rc_is(err_set(&e, RC_INVALID, "name_label", "sans", "has an empty label"), RC_INVALID));
  format_is(&e, "sans has an empty label");
  err_value(&e, "a..b", 4);
  format_is(&e, "sans has an empty label: \"a..b\"");
  assert_true(rc_is(err_limit(&e, RC_FULL, "long", "name", "must be {limit} or {limit} bytes", INT64_MIN), RC_FULL));
  format_is(&e, "name must be -9223372036854775808 or -9223372036854775808 bytes");
  assert_string_equal(e.value, "");
  e = (err_t){.code = RC_TIMEOUT};
  format_is(&e, "timeout");
  e = (err_t){.code = RC_TIMEOUT, .text = "gave up"};
  format_is(&e, "gave up");
}

static void format_is_cut_at_cap(void **state)
{
  err_t e = {.code = RC_INVALID, .field = "field", .text = "text {limit}", .limit = 123456};
  memcpy(e.value, "value", 6);
  char full[128], out[128];
  size_t n = err_format(&e, full, sizeof full);
  for (size_t cap = 0; cap <= n + 1; cap++) {
    memset(out, 'x', sizeof out);
    size_t k = err_format(&e, out, cap);
    assert_true(cap == 0 ? k == 0 : k < cap);
    if (cap) assert_int_equal(out[k], 0);
    if (cap && strchr(out, '"')) assert_int_equal(out[k - 1], '"'); /* a value is closed, however short */
    assert_int_equal(out[cap], 'x'); /* nothing behind cap is touched */
  }
  assert_string_equal(out, full);
}

static void no_record_is_fine(void **state)
{
  assert_true(rc_is(err_set(NULL, RC_DENIED, "r", "f", "t"), RC_DENIED));
  assert_true(rc_is(err_limit(NULL, RC_FULL, "r", "f", "t", 1), RC_FULL));
  err_value(NULL, "x", 1);
}

static void value_is(const void *p, size_t n, const char *expected)
{
  err_t e = {0};
  err_value(&e, p, n);
  assert_string_equal(e.value, expected);
}

static void values_are_bounded_and_printable(void **state)
{
  char big[200], expected[200];
  memset(big, 'a', sizeof big);
  memset(expected, 'a', sizeof expected);
  expected[ERR_VALUE_MAX - 1] = 0;
  value_is(big, sizeof big, expected);
  value_is(big, ERR_VALUE_MAX - 1, expected);
  value_is("a\nb\x7f\x1f", 5, "a?b??");
  value_is("a\0b", 3, "a?b");
  value_is("gr\xc3\xbc\xc3\x9f""e", 7, "gr\xc3\xbc\xc3\x9f""e");
  value_is("\xff\xfe\x80", 3, "???");
  value_is("a\xc3", 2, "a?");
  value_is("a b", 3, "a b");
  value_is("\xc3\xbc", 2, "\xc3\xbc"); /* whole at the end, so it stays */
  value_is("", 0, "");
  /* An umlaut across the cut goes whole. */
  memcpy(big + ERR_VALUE_MAX - 2, "\xc3\xbc", 2);
  expected[ERR_VALUE_MAX - 2] = 0;
  value_is(big, sizeof big, expected);
}

static void sizes_do_not_wrap(void **state)
{
  size_t r = 7;
  assert_false(size_add(SIZE_MAX, 1, &r));
  assert_false(size_mul(SIZE_MAX / 2 + 1, 2, &r));
  assert_int_equal(r, 7);
  assert_true(size_add(SIZE_MAX - 1, 1, &r) && r == SIZE_MAX);
  assert_true(size_mul(3, 5, &r) && r == 15);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(codes_have_names),     cmocka_unit_test(try_returns_the_failure), cmocka_unit_test(errors_are_formatted),
      cmocka_unit_test(format_is_cut_at_cap), cmocka_unit_test(no_record_is_fine),       cmocka_unit_test(values_are_bounded_and_printable),
      cmocka_unit_test(sizes_do_not_wrap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

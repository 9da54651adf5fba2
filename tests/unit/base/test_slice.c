/* Views of bytes: compare, search, split, numbers, UTF-8, hex. */
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const slice_t none = {NULL, 0};

static int sign(int v) { return (v > 0) - (v < 0); }

static void comparing(void **state)
{
  static const struct {
    const char *a, *b;
    int order;
  } t[] = {{"", "", 0}, {"a", "a", 0}, {"a", "b", -1}, {"a", "ab", -1}, {"b", "ab", 1}, {"\x7f", "\x80", -1}, {"A", "a", -1}};
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    assert_int_equal(sign(slice_cmp(slice_str(t[i].a), slice_str(t[i].b))), t[i].order);
    assert_int_equal(sign(slice_cmp(slice_str(t[i].b), slice_str(t[i].a))), -t[i].order);
    assert_int_equal(slice_eq(slice_str(t[i].a), slice_str(t[i].b)), t[i].order == 0);
  }
  assert_true(slice_eq(none, S("")));
  assert_int_equal(slice_cmp(none, S("")), 0);
  assert_true(slice_is(S("x"), "x") && !slice_is(S("x"), "xy") && slice_is(none, ""));
  assert_null(slice_str(NULL).p);
}

static void folding_is_ascii_only(void **state)
{
  assert_true(slice_ieq(S("aZ09-[`{@"), S("Az09-[`{@")));
  assert_false(slice_ieq(S("["), S("{")));
  assert_false(slice_ieq(S("@"), S("`")));
  assert_false(slice_ieq(S("\xc3\x84"), S("\xc3\xa4")));
  assert_false(slice_ieq(S("a"), S("ab")));
  assert_true(slice_ieq(slice_of("ab", 1), slice_of("Ac", 1)));
}

static void prefixes_and_suffixes(void **state)
{
  assert_true(slice_starts(S("abc"), S("ab")) && slice_starts(S("abc"), S("abc")) && slice_starts(S("abc"), S("")));
  assert_false(slice_starts(S("ab"), S("abc")) || slice_starts(S("abc"), S("b")));
  assert_true(slice_ends(S("abc"), S("bc")) && slice_ends(S("abc"), S("abc")) && slice_ends(S("abc"), S("")));
  assert_false(slice_ends(S("bc"), S("abc")) || slice_ends(S("abc"), S("b")));
  assert_true(slice_starts(none, none) && slice_ends(none, S("")));
}

static void sub_is_cut_to_what_is_there(void **state)
{
  slice_t s = S("abcdef");
  assert_true(slice_is(slice_sub(s, 2, 3), "cde"));
  assert_true(slice_is(slice_sub(s, 4, 9), "ef"));
  assert_true(slice_is(slice_sub(s, 4, SIZE_MAX), "ef"));
  assert_int_equal(slice_sub(s, 6, 1).n, 0);
  assert_int_equal(slice_sub(s, SIZE_MAX, SIZE_MAX).n, 0);
  assert_null(slice_sub(none, 3, 3).p);
  assert_int_equal(slice_find(s, 'c'), 2);
  assert_int_equal(slice_find(s, 'z'), 6);
  assert_int_equal(slice_find(none, 'z'), 0);
  assert_true(slice_is(slice_trim(S(" \t a b\t ")), "a b"));
  assert_int_equal(slice_trim(S(" \t")).n, 0);
  assert_true(slice_is(slice_trim(S("\na")), "\na"));
}

static void splitting(void **state)
{
  static const char *const expected[] = {"a", "", "b", ""};
  slice_t rest = S("a,,b,"), part;
  for (size_t i = 0; i < COUNT_OF(expected); i++) {
    assert_true(slice_split(&rest, ',', &part));
    assert_true(slice_is(part, expected[i]));
  }
  assert_false(slice_split(&rest, ',', &part));
  rest = S("");
  assert_true(slice_split(&rest, ',', &part) && part.n == 0);
  assert_false(slice_split(&rest, ',', &part));
  rest = none;
  assert_false(slice_split(&rest, ',', &part));
}

static void integers(void **state)
{
  int64_t v = 5;
  assert_true(rc_ok(slice_i64(S("0"), &v)) && v == 0);
  assert_true(rc_ok(slice_i64(S("0042"), &v)) && v == 42);
  assert_true(rc_ok(slice_i64(S("9223372036854775807"), &v)) && v == INT64_MAX);
  v = 5;
  assert_true(rc_is(slice_i64(S("9223372036854775808"), &v), RC_FULL));
  assert_true(rc_is(slice_i64(S("99999999999999999999"), &v), RC_FULL));
  static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "a"};
  for (size_t i = 0; i < COUNT_OF(bad); i++) assert_true(rc_is(slice_i64(slice_str(bad[i]), &v), RC_SYNTAX));
  assert_int_equal(v, 5);
}

/* Table 3-7 of the Unicode standard, its edges from both sides. */
static void utf8_is_checked(void **state)
{
  static const char *const good[] = {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                     "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xc3\xa4z"};
  static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x7f", "\xc2\xc0", "\xe0\x9f\xbf",
                                    "\xe0\xa0", "\xe0\xa0\x7f", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80",
                                    "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xc3", "\xe1\x80\xc0"};
  for (size_t i = 0; i < COUNT_OF(good); i++)
    if (!slice_utf8(slice_str(good[i]))) fail_msg("good %zu refused", i);
  for (size_t i = 0; i < COUNT_OF(bad); i++)
    if (slice_utf8(slice_str(bad[i]))) fail_msg("bad %zu accepted", i);
  assert_false(slice_utf8(slice_of("\xc2\x80", 1))); /* what makes it whole lies behind the end */
  assert_int_equal(slice_utf8_len(S("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92")), 4);
  assert_int_equal(slice_utf8_len(none), 0);
}

static void hex_both_ways(void **state)
{
  uint8_t all[256], back[256];
  char text[513];
  size_t n = 7;
  for (size_t i = 0; i < sizeof all; i++) all[i] = (uint8_t)i;
  hex_encode(slice_of(all, sizeof all), text);
  assert_int_equal(strlen(text), 512);
  assert_memory_equal(text, "000102", 6);
  assert_memory_equal(text + 506, "fdfeff", 7);
  assert_true(rc_ok(hex_decode(slice_str(text), back, sizeof back, &n)) && n == 256);
  assert_memory_equal(all, back, sizeof all);
  assert_true(rc_ok(hex_decode(S("aBfF"), back, 2, &n)) && n == 2 && back[0] == 0xab && back[1] == 0xff);
  back[0] = 1;
  assert_true(rc_is(hex_decode(S("abc"), back, 9, &n), RC_SYNTAX));
  assert_true(rc_is(hex_decode(S("ag"), back, 9, &n), RC_SYNTAX));
  assert_true(rc_is(hex_decode(S("a:"), back, 9, &n), RC_SYNTAX));
  assert_true(rc_is(hex_decode(S("abcd"), back, 1, &n), RC_FULL));
  assert_true(n == 2 && back[0] == 1);
  assert_true(rc_ok(hex_decode(none, back, 0, &n)) && n == 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(comparing), cmocka_unit_test(folding_is_ascii_only), cmocka_unit_test(prefixes_and_suffixes),
      cmocka_unit_test(sub_is_cut_to_what_is_there), cmocka_unit_test(splitting), cmocka_unit_test(integers),
      cmocka_unit_test(utf8_is_checked), cmocka_unit_test(hex_both_ways),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

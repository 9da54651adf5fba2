/* Civil time and RFC 3339: known dates, every day of the range, what is no date. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void known_dates(void **state)
{
  static const struct {
    const char *text;
    int64_t us;
  } t[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1969-12-31T23:59:59.999999Z", -1},
      {"0001-01-01T00:00:00Z", INT64_C(-62135596800) * US_PER_S},
      {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799) * US_PER_S + 999999},
      {"2000-02-29T12:00:00Z", INT64_C(951825600) * US_PER_S},
      {"2038-01-19T03:14:08Z", INT64_C(2147483648) * US_PER_S},
      {"2026-11-25T02:04:04.5Z", INT64_C(1795572244) * US_PER_S + 500000},
      {"1900-03-01T00:00:00Z", INT64_C(-2203891200) * US_PER_S},
      {"2100-03-01T00:00:00.00001Z", INT64_C(4107542400) * US_PER_S + 10},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    char out[RFC3339_MAX];
    us_t back = {1};
    assert_int_equal(rfc3339_format((us_t){t[i].us}, out), strlen(t[i].text));
    assert_string_equal(out, t[i].text);
    assert_true(rc_ok(rfc3339_parse(slice_str(out), &back)));
    assert_int_equal(back.us, t[i].us);
  }
}

static void other_spellings(void **state)
{
  static const struct {
    const char *text;
    int64_t us;
  } t[] = {
      {"1970-01-01T01:30:00+01:30", 0},   {"1969-12-31T16:00:00-08:00", 0}, {"1970-01-01t00:00:00z", 0},
      {"1970-01-01 00:00:00Z", 0},        {"1970-01-01T00:00:00-00:00", 0}, {"1970-01-01T00:00:00.123456789Z", 123456},
      {"1970-01-01T00:00:00.1Z", 100000}, {"1970-01-01T23:59:00+23:59", 0}, {"1970-01-01T00:00:00.000000Z", 0},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    us_t got = {1};
    if (!rc_ok(rfc3339_parse(slice_str(t[i].text), &got)) || got.us != t[i].us) fail_msg("%s", t[i].text);
  }
}

static void what_is_no_time(void **state)
{
  static const char *const syntax[] = {
      "", "1970", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01T00:00Z", "1970-1-01T00:00:00Z", "70-01-01T00:00:00Z",
      "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00.1234567890Z", "1970-01-01T00:00:00Zx", " 1970-01-01T00:00:00Z",
      "1970-01-01T00:00:00+0100", "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+01:60", "1970/01/01T00:00:00Z",
      "1970-01-01T00:00:00,5Z", "+970-01-01T00:00:00Z", "1970-01-01T00:00:00+1:00", "1970-01-01T00:00:00 Z"};
  static const char *const invalid[] = {
      "1970-13-01T00:00:00Z", "1970-00-01T00:00:00Z", "1970-02-30T00:00:00Z", "1900-02-29T00:00:00Z", "1970-01-00T00:00:00Z",
      "1970-01-32T00:00:00Z", "1970-04-31T00:00:00Z", "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:60Z",
      "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"};
  us_t t = {42};
  for (size_t i = 0; i < COUNT_OF(syntax); i++)
    if (!rc_is(rfc3339_parse(slice_str(syntax[i]), &t), RC_SYNTAX)) fail_msg("%s", syntax[i]);
  for (size_t i = 0; i < COUNT_OF(invalid); i++)
    if (!rc_is(rfc3339_parse(slice_str(invalid[i]), &t), RC_INVALID)) fail_msg("%s", invalid[i]);
  assert_int_equal(t.us, 42);
}

/* Each in memory of its own size, so that the sanitizer sees a look behind the end. */
static void no_prefix_is_a_time(void **state)
{
  slice_t whole = S("1970-01-01T00:00:00.5+01:30");
  for (size_t n = 0; n <= whole.n; n++) {
    MEM_SCOPED uint8_t *copy = mem_alloc(n);
    us_t t;
    memcpy(copy, whole.p, n);
    assert_int_equal(rfc3339_parse(slice_of(copy, n), &t).code, n < whole.n ? RC_SYNTAX : RC_OK);
  }
}

/* Walks all 3,652,059 days of the years 1 to 9999 beside a plain calendar. */
static void every_day_of_the_range(void **state)
{
  static const int len[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t us = US_NEVER.us;
  int wrong = 0;
  for (int y = 1; y <= 9999; y++)
    for (int m = 1; m <= 12; m++) {
      int days = len[m - 1] + (m == 2 && (y % 400 == 0 || (y % 4 == 0 && y % 100 != 0)));
      for (int d = 1; d <= days; d++, us += 86400 * US_PER_S) {
        civil_t c = civil_from_us((us_t){us});
        us_t back;
        wrong += c.year != y || c.month != m || c.day != d || c.hour || c.minute || c.second || c.micro;
        wrong += !rc_ok(civil_to_us(&c, &back)) || back.us != us;
      }
    }
  assert_int_equal(wrong, 0);
  assert_int_equal(us, (INT64_C(253402300799) + 1) * US_PER_S);
}

static void random_instants_survive(void **state)
{
  uint64_t seed = 7;
  rng_t r = rng_seeded(&seed);
  for (int i = 0; i < 20000; i++) {
    us_t t = {US_NEVER.us + (int64_t)rng_below(&r, (uint64_t)(INT64_C(253402300799) + INT64_C(62135596800)) * 1000000)}, back;
    char out[RFC3339_MAX];
    size_t n = rfc3339_format(t, out);
    assert_true(rc_ok(rfc3339_parse(slice_of(out, n), &back)));
    assert_int_equal(back.us, t.us);
  }
}

static void helpers(void **state)
{
  assert_true(us_is_never(US_NEVER) && !us_is_never((us_t){0}) && !us_is_never((us_t){US_NEVER.us + 1}));
  assert_int_equal(us_add_s((us_t){5}, -1).us, 5 - US_PER_S);
  assert_int_equal(us_floor_s((us_t){1999999}).us, 1000000);
  assert_int_equal(us_floor_s((us_t){-1}).us, -1000000);
  assert_int_equal(us_floor_s((us_t){-1000000}).us, -1000000);
  assert_int_equal(us_min((us_t){1}, (us_t){2}).us + us_min((us_t){2}, (us_t){1}).us, 2);
  assert_int_equal(us_max((us_t){1}, (us_t){2}).us + us_max((us_t){2}, (us_t){1}).us, 4);
  assert_true(us_cmp((us_t){1}, (us_t){2}) < 0 && us_cmp((us_t){2}, (us_t){1}) > 0 && us_cmp((us_t){2}, (us_t){2}) == 0);
}

static void system_clocks_run(void **state)
{
  int64_t a = time_mono_us(&timesrc_system), b = time_mono_us(&timesrc_system);
  assert_true(b >= a);
  assert_true(time_wall(&timesrc_system).us > INT64_C(1600000000) * US_PER_S);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_dates), cmocka_unit_test(other_spellings), cmocka_unit_test(what_is_no_time), cmocka_unit_test(no_prefix_is_a_time),
      cmocka_unit_test(every_day_of_the_range), cmocka_unit_test(random_instants_survive), cmocka_unit_test(helpers),
      cmocka_unit_test(system_clocks_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

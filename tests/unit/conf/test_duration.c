/* Go's duration grammar as spec/config.md 1 gives it. */
#include "base/mem.h"
#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Reads a copy that ends with its last byte, so that the address sanitizer sees a look behind it. */
static rc_t duration(const char *text, int64_t *ret_us)
{
  size_t n = strlen(text);
  MEM_SCOPED char *bytes = mem_alloc(n);
  assert_non_null(bytes);
  memcpy(bytes, text, n);
  return conf_duration(slice_of(bytes, n), ret_us);
}

static void durations_accepted(void **state)
{
  static const struct {
    const char *text;
    int64_t us;
  } t[] = {
      {"0", 0},          {"+0", 0},           {"30s", 30000000},    {"1h30m", 5400000000}, {"1.5h", 5400000000},
      {"250ms", 250000}, {"7us", 7},          {"7\xc2\xb5s", 7},    {"7\xce\xbcs", 7},     {"999ns", 0},
      {"-1m", -60000000}, {".5s", 500000},    {"5.s", 5000000},     {"1h1m1s1ms1us", 3661001001},
      {"0.000001s", 1},  {"168h", 604800000000}, {"1s1s", 2000000}, {"1.9999999s", 1999999},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    int64_t us = -1;
    rc_t r = duration(t[i].text, &us);
    if (!rc_ok(r) || us != t[i].us) fail_msg("%s: %s, %lld", t[i].text, rc_name(r), (long long)us);
  }
}

static void durations_refused(void **state)
{
  static const char *const t[] = {"", "-", "+", "10", "s", "1d", "1 s", "1s ", " 1s", "1h30", ".", ".s", "1..5s", "1S",
                                  "--1s", "1s-1s", "1,5s", "0x1s", "1e3s"};
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    int64_t us = 77;
    if (!rc_is(duration(t[i], &us), RC_SYNTAX)) fail_msg("\"%s\" was not refused", t[i]);
    assert_int_equal(us, 77);
  }
}

static void durations_too_long(void **state)
{
  static const char *const t[] = {"2562048h", "99999999999999999999h", "9223372036855s", "2562047h9223372036s"};
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    int64_t us = 77;
    if (!rc_is(duration(t[i], &us), RC_FULL)) fail_msg("\"%s\" was not refused", t[i]);
    assert_int_equal(us, 77);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(durations_accepted),
      cmocka_unit_test(durations_refused),
      cmocka_unit_test(durations_too_long),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

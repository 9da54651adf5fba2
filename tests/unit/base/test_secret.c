/* Secrets: taken and wiped at the source, locked, not dumped, released once. */
#include "base/secret.h"

#include "asan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void taking_wipes_the_source(void **state)
{
  char text[] = "geheim";
  secret_t s;
  assert_true(rc_ok(secret_take(&s, text, 6)));
  assert_memory_equal(s.p, "geheim", 6);
  assert_int_equal(s.n, 6);
  assert_memory_equal(text, "\0\0\0\0\0\0", 7);
  assert_int_equal(s.p[6], 0); /* terminated by the rest of the page */
  secret_fini(&s);
  assert_null(s.p);
  secret_fini(&s);
}

static void a_failed_take_still_wipes(void **state)
{
  static char text[] = "geheim";
  secret_t s = {.n = 7};
  assert_true(rc_is(secret_alloc(&s, SIZE_MAX), RC_NOMEM));
  assert_true(rc_is(secret_alloc(&s, SIZE_MAX - 8192), RC_NOMEM));
  assert_int_equal(s.n, 7);
  secret_wipe(text, 6);
  assert_memory_equal(text, "\0\0\0\0\0\0", 7);
}

static void sizes(void **state)
{
  static const size_t t[] = {0, 1, 4095, 4096, 4097, 100000};
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    SECRET_SCOPED secret_t s;
    assert_true(rc_ok(secret_alloc(&s, t[i])));
    assert_non_null(s.p);
    assert_true(s.mapped > t[i]);
    for (size_t k = 0; k <= t[i]; k++) assert_int_equal(s.p[k], 0);
    memset(s.p, 0xff, t[i]);
  }
}

/* The kernel's own account of the mapping: "dd" = not in core dumps, "lo" = locked. */
static void pages_are_locked_and_not_dumped(void **state)
{
  SECRET_SCOPED secret_t s;
  assert_true(rc_ok(secret_alloc(&s, 10)));
  FILE *f = fopen("/proc/self/smaps", "r");
  assert_non_null(f);
  char line[512];
  unsigned long from, to;
  bool inside = false, found = false;
  while (fgets(line, sizeof line, f)) {
    if (sscanf(line, "%lx-%lx ", &from, &to) == 2) inside = (uintptr_t)s.p >= from && (uintptr_t)s.p < to;
    if (inside && strncmp(line, "VmFlags:", 8) == 0) {
      found = true;
      assert_non_null(strstr(line, " dd"));
      if (!UNDER_ASAN) assert_non_null(strstr(line, " lo"));
    }
  }
  fclose(f);
  assert_true(found);
}

static void comparing(void **state)
{
  assert_true(secret_eq(S("abc"), S("abc")));
  assert_true(secret_eq(S(""), (slice_t){NULL, 0}));
  assert_false(secret_eq(S("abc"), S("abd")));
  assert_false(secret_eq(S("bbc"), S("abc")));
  assert_false(secret_eq(S("abc"), S("ab")));
  assert_false(secret_eq(S("ab"), S("abc")));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(taking_wipes_the_source), cmocka_unit_test(a_failed_take_still_wipes), cmocka_unit_test(sizes),
      cmocka_unit_test(pages_are_locked_and_not_dumped), cmocka_unit_test(comparing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Users and groups by name and number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/account.h"

static void test_accounts(void **state)
{
  uint32_t id = 7;
  assert_true(rc_ok(user_find(S("root"), &id, NULL)));
  assert_int_equal(id, 0);
  assert_true(rc_ok(group_find(S("4242"), &id, NULL)));
  assert_int_equal(id, 4242);
  assert_true(rc_is(user_find(S("no-such-user-here"), &id, NULL), RC_NOTFOUND));
  assert_true(rc_is(group_find(S(""), &id, NULL), RC_NOTFOUND));
  assert_true(rc_is(user_find(S("4294967295"), &id, NULL), RC_NOTFOUND)); /* -1 would mean: leave it */
  assert_int_equal(id, 4242);
  assert_true(rc_ok(user_find(S("4294967294"), &id, NULL)));
  assert_int_equal(id, 4294967294);
  assert_true(rc_ok(group_find(S("root"), &id, NULL)));
  assert_int_equal(id, 0);
  assert_true(rc_is(group_find(S("no-such-group-here"), &id, NULL), RC_NOTFOUND));
}

/* The table of names is asked with room for 63 bytes. */
static void test_long_names(void **state)
{
  uint32_t id = 7;
  char name[64];
  memset(name, 'r', sizeof name);
  assert_true(rc_is(user_find(slice_of(name, 63), &id, NULL), RC_NOTFOUND));
  assert_true(rc_is(user_find(slice_of(name, 64), &id, NULL), RC_NOTFOUND));
  assert_int_equal(id, 7);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_accounts), cmocka_unit_test(test_long_names)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

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
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_accounts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

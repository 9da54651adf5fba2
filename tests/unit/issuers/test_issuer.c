/* Kinds of issuers: found by any spelling, their configuration checked when it is written. */
#include "issuers/issuer.h"

#include "../arena.h"

static void test_kinds_are_found_by_type_and_alias(void **state)
{
  static const char *const known[] = {"GenericCA", "genericca", "local", "LOCAL_CA"};
  static const char *const unknown[] = {"", "Generic", "local_", "acme"};
  for (size_t i = 0; i < COUNT_OF(known); i++) assert_ptr_equal(issuer_find(slice_str(known[i])), &issuer_local);
  for (size_t i = 0; i < COUNT_OF(unknown); i++) assert_null(issuer_find(slice_str(unknown[i])));
}

static void test_configurations(void **state)
{
  static const struct {
    const char *json;
    const char *field; /* NULL: accepted */
  } rows[] = {
    {"", NULL},
    {"{}", NULL},
    {"{\"validity_days\":1}", NULL},
    {"{\"validity_days\":398}", NULL},
    {"{\"validity_days\":0}", "validity_days"},
    {"{\"validity_days\":399}", "validity_days"},
    {"{\"validity_days\":\"90\"}", "validity_days"},
    {"[]", ""},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    rc_t r = issuer_local.check(slice_str(rows[i].json), arena, &e);
    if (rc_ok(r) != !rows[i].field) fail_msg("%s: %d", rows[i].json, r.code);
    if (rows[i].field) assert_string_equal(e.field ? e.field : "", rows[i].field);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {T(test_kinds_are_found_by_type_and_alias), T(test_configurations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Object identifiers. */
#include "base/check.h"
#include "wire/der.h"
#include "x509/oid.h"

#include <openssl/objects.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { USAGES = 16 }; /* spec/model.md 3.5a */

/* Each row is found by its octets, a usage by its name too, and libcrypto knows the octets by the same dotted form. */
static void test_table(void **state)
{
  size_t usages = 0;
  for (oid_t id = OID_UNKNOWN + 1; id < OID_COUNT; id++) {
    BUF_SCOPED buf_t dotted = buf_heap(128);
    slice_t der = oid_der(id);
    assert_true(der_oid_valid(der));
    assert_int_equal(oid_find(der), id);
    oid_t usage = oid_eku(slice_str(oid_name(id)));
    assert_true(usage == id || usage == OID_UNKNOWN);
    usages += usage == id;
    oid_dotted(&dotted, der);
    buf_byte(&dotted, 0);
    ASN1_OBJECT *theirs = OBJ_txt2obj((const char *)dotted.p, 1);
    assert_non_null(theirs);
    assert_true(slice_eq(der, slice_of(OBJ_get0_data(theirs), OBJ_length(theirs))));
    ASN1_OBJECT_free(theirs);
    if (id > 1) assert_true(oid_der(id - 1).n < der.n || memcmp(oid_der(id - 1).p, der.p, der.n) < 0);
  }
  assert_int_equal(usages, USAGES);
}

static void test_unknown(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(128);
  assert_int_equal(oid_find(S("\x2a\x03")), OID_UNKNOWN);
  assert_int_equal(oid_find(S("")), OID_UNKNOWN);
  assert_int_equal(oid_eku(S("ServerAuth")), OID_UNKNOWN);
  assert_int_equal(oid_eku(S("keyUsage")), OID_UNKNOWN);
  assert_int_equal(oid_eku(S("serverAuth")), OID_SERVER_AUTH);
  assert_int_equal(oid_der(OID_UNKNOWN).n, 0);
  assert_string_equal(oid_name(OID_COUNT), "");
  oid_text(&b, S("\x2a\x03\x88\x37"));
  buf_byte(&b, ' ');
  oid_text(&b, S("\x55\x1d\x11"));
  buf_byte(&b, ' ');
  oid_text(&b, S("\x69\x87\x67"));
  buf_byte(&b, ' ');
  oid_text(&b, S("\x2a\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"));
  assert_true(slice_is(buf_slice(&b), "1.2.3.1079 subjectAltName 2.25.999 1.2.?"));
  buf_reset(&b);
  for (size_t i = 0; i < 4; i++) oid_text(&b, slice_of((const uint8_t[]){39, 40, 79, 80} + i, 1)); /* ends of the arcs */
  assert_true(slice_is(buf_slice(&b), "0.391.01.392.0"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_unknown)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

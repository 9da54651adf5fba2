/* DER reader and writer; rules from X.690 sections 8, 10 and 11 and RFC 5280 4.1.2.5. */
#include "base/check.h"
#include "base/mem.h"
#include "wire/der.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

typedef enum read { R_ANY, R_INT, R_UINT, R_SMALL, R_BOOL, R_OID, R_BITS, R_BITS_WHOLE, R_TIME, R_SEQ } read_t;

/* Reads from memory of the input's own size, so that the sanitizer sees a look behind the end. */
static const char *reason_of(read_t how, slice_t literal)
{
  MEM_SCOPED uint8_t *copy = mem_alloc(literal.n);
  if (literal.n) memcpy(copy, literal.p, literal.n);
  slice_t in = slice_of(copy, literal.n);
  der_t r;
  err_t e = {0};
  unsigned unused;
  uint8_t tag;
  der_init(&r, in);
  switch (how) {
  case R_ANY: (void)der_any(&r, &tag); break;
  case R_INT: (void)der_integer(&r); break;
  case R_UINT: (void)der_unsigned(&r); break;
  case R_SMALL: (void)der_small(&r, 255); break;
  case R_BOOL: (void)der_bool(&r); break;
  case R_OID: (void)der_oid(&r); break;
  case R_BITS: (void)der_bits(&r, &unused); break;
  case R_BITS_WHOLE: (void)der_bits(&r, NULL); break;
  case R_TIME: (void)der_time(&r, NULL); break;
  case R_SEQ:
    (void)der_enter(&r, DER_SEQUENCE);
    der_leave(&r);
    break;
  }
  rc_t done = der_end(&r, &e);
  assert_true(rc_ok(done) == (e.reason == NULL));
  return e.reason ? e.reason : "";
}

#define ROW(how, lit, why) {how, (const uint8_t *)("" lit), sizeof(lit) - 1, why}

static void test_forms(void **state)
{
  static const struct {
    read_t how;
    const uint8_t *p;
    size_t n;
    const char *why;
  } rows[] = {
    ROW(R_ANY, "\x04\x00", ""),
    ROW(R_ANY, "", "der_missing"),
    ROW(R_ANY, "\x04", "der_truncated"),
    ROW(R_ANY, "\x04\x01", "der_truncated"),
    ROW(R_ANY, "\x04\x01\x00\x00", "der_trailing"),
    ROW(R_ANY, "\x04\x80\x00\x00", "der_indefinite_length"),
    ROW(R_ANY, "\x04\x81\x7f", "der_length_not_minimal"),
    ROW(R_ANY, "\x04\x82\x00\xff", "der_length_not_minimal"),
    ROW(R_ANY, "\x04\x81", "der_truncated"),
    ROW(R_ANY, "\x04\x82\x01", "der_truncated"),
    ROW(R_ANY, "\x04\x84\xff\xff\xff\xff", "der_truncated"),
    ROW(R_ANY, "\x04\x88\xff\xff\xff\xff\xff\xff\xff\xff", "der_truncated"),
    ROW(R_ANY, "\x1f\x21\x00", "der_high_tag"),
    ROW(R_ANY, "\xbf\x21\x00", "der_high_tag"),
    ROW(R_INT, "\x02\x01\x00", ""),
    ROW(R_INT, "\x02\x01\x80", ""),
    ROW(R_INT, "\x02\x02\x00\x80", ""),
    ROW(R_INT, "\x02\x02\xff\x7f", ""),
    ROW(R_INT, "\x02\x00", "der_integer_empty"),
    ROW(R_INT, "\x02\x02\x00\x7f", "der_integer_not_minimal"),
    ROW(R_INT, "\x02\x02\xff\x80", "der_integer_not_minimal"),
    ROW(R_INT, "\x04\x01\x00", "der_tag"),
    ROW(R_UINT, "\x02\x01\x80", "der_integer_negative"),
    ROW(R_UINT, "\x02\x02\x00\x80", ""),
    ROW(R_SMALL, "\x02\x02\x00\xff", ""),
    ROW(R_SMALL, "\x02\x02\x01\x00", "der_integer_range"),
    ROW(R_SMALL, "\x02\x06\x01\x00\x00\x00\x00\x00", "der_integer_range"),
    ROW(R_BOOL, "\x01\x01\xff", ""),
    ROW(R_BOOL, "\x01\x01\x00", ""),
    ROW(R_BOOL, "\x01\x01\x01", "der_boolean"),
    ROW(R_BOOL, "\x01\x00", "der_boolean"),
    ROW(R_BOOL, "\x01\x02\xff\xff", "der_boolean"),
    ROW(R_OID, "\x06\x03\x55\x04\x03", ""),
    ROW(R_OID, "\x06\x00", "der_oid"),
    ROW(R_OID, "\x06\x02\x55\x84", "der_oid"),
    ROW(R_OID, "\x06\x03\x55\x81\x80", "der_oid"),
    ROW(R_OID, "\x06\x05\x55\x81\x80\x80\x03", ""),
    ROW(R_OID, "\x06\x03\x55\x80\x03", "der_oid"),
    ROW(R_OID, "\x06\x03\x80\x55\x03", "der_oid"),
    ROW(R_OID, "\x06\x04\x55\x84\x80\x03", ""),
    ROW(R_BITS, "\x03\x01\x00", ""),
    ROW(R_BITS, "\x03\x02\x05\xa0", ""),
    ROW(R_BITS, "\x03\x00", "der_bits"),
    ROW(R_BITS, "\x03\x01\x01", "der_bits"),
    ROW(R_BITS, "\x03\x02\x08\x00", "der_bits"),
    ROW(R_BITS, "\x03\x02\x05\xa1", "der_bits"),
    ROW(R_BITS_WHOLE, "\x03\x02\x05\xa0", "der_bits"),
    ROW(R_BITS_WHOLE, "\x03\x02\x00\xa0", ""),
    ROW(R_TIME, "\x17\x0d" "260229000000Z", "der_time"),
    ROW(R_TIME, "\x17\x0d" "240229000000Z", ""),
    ROW(R_TIME, "\x17\x0d" "260101000060Z", "der_time"),
    ROW(R_TIME, "\x17\x0d" "261301000000Z", "der_time"),
    ROW(R_TIME, "\x17\x0d" "260101240000Z", "der_time"),
    ROW(R_TIME, "\x17\x0b" "2601010000Z", "der_time"),
    ROW(R_TIME, "\x17\x11" "260101000000+0100", "der_time"),
    ROW(R_TIME, "\x17\x0d" "2601010000 0Z", "der_time"),
    ROW(R_TIME, "\x17\x0d" "26010100001/Z", "der_time"),
    ROW(R_TIME, "\x17\x0d" "26010100000:Z", "der_time"),
    ROW(R_TIME, "\x17\x0d" "2601010000000", "der_time"),
    ROW(R_TIME, "\x17\x0e" "2601010000000Z", "der_time"),
    ROW(R_TIME, "\x18\x0f" "20500101000000Z", ""),
    ROW(R_TIME, "\x18\x11" "20500101000000.5Z", "der_time"),
    ROW(R_TIME, "\x18\x0f" "00000101000000Z", "der_time"),
    ROW(R_TIME, "\x18\x0d" "260101000000Z", "der_time"),
    ROW(R_TIME, "\x16\x0d" "260101000000Z", "der_tag"),
    ROW(R_SEQ, "\x30\x00", ""),
    ROW(R_SEQ, "\x30\x02\x05\x00", "der_trailing"),
    ROW(R_SEQ, "\x31\x00", "der_tag"),
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const char *got = reason_of(rows[i].how, slice_of(rows[i].p, rows[i].n));
    if (strcmp(got, rows[i].why) != 0) fail_msg("row %zu: %s, not %s", i, got, rows[i].why);
  }
}

static void test_values(void **state)
{
  static const uint8_t in[] = "\x30\x23"
    "\x02\x02\xff\x7f"
    "\x02\x02\x00\x80"
    "\x01\x01\xff"
    "\x03\x02\x05\xa0"
    "\xa1\x03\x02\x01\x07"
    "\x17\x0d" "491231235959Z";
  der_t r;
  err_t e = {0};
  unsigned unused = 9;
  uint8_t tag = 0;
  der_init(&r, slice_of(in, sizeof in - 1));
  assert_true(der_enter(&r, DER_SEQUENCE));
  assert_true(slice_eq(der_integer(&r), S("\xff\x7f")));
  assert_true(slice_eq(der_unsigned(&r), S("\x80")));
  assert_true(der_bool(&r));
  assert_true(slice_eq(der_bits(&r, &unused), S("\xa0")));
  assert_int_equal(unused, 5);
  assert_int_equal(der_peek(&r), DER_CTX_CONS(1));
  assert_true(der_enter(&r, DER_CTX_CONS(1)));
  assert_int_equal(der_small(&r, 7), 7);
  der_leave(&r);
  us_t t = der_time(&r, &tag);
  assert_int_equal(tag, DER_UTC_TIME);
  assert_int_equal(t.us / US_PER_S, 2524607999);
  der_leave(&r);
  assert_true(rc_ok(der_end(&r, &e)));

  der_init(&r, S("\x02\x01\x00\x02\x05\x00\xff\xff\xff\xff\x02\x01\x80"));
  assert_true(slice_eq(der_unsigned(&r), S("\0")));
  assert_int_equal(der_small(&r, UINT32_MAX), UINT32_MAX);
  assert_null(der_unsigned(&r).p);
  assert_true(rc_is(der_end(&r, &e), RC_INVALID));
  assert_int_equal(e.offset, 10); /* where the value begins that is refused */
}

static void test_sticky_and_field(void **state)
{
  static const uint8_t in[] = "\x30\x06\x02\x01\x01\x02\x01\x02";
  der_t r;
  err_t e = {0};
  der_init(&r, slice_of(in, sizeof in - 1));
  (void)der_enter(&r, DER_SEQUENCE);
  (void)der_integer(&r);
  der_field(&r, "flag");
  (void)der_bool(&r);
  assert_false(der_more(&r));
  assert_int_equal(der_peek(&r), 0);
  assert_null(der_integer(&r).p);
  der_leave(&r);
  der_field(&r, "later");
  der_fail(&r, RC_INVALID, "later", "is later");
  assert_true(rc_is(der_end(&r, &e), RC_SYNTAX));
  assert_string_equal(e.reason, "der_tag");
  assert_string_equal(e.field, "flag");
  assert_int_equal(e.offset, 5);
}

static void test_depth(void **state)
{
  uint8_t in[2 * (LIM_DER_DEPTH + 1)];
  for (size_t i = 0; i <= LIM_DER_DEPTH; i++) {
    in[2 * i] = DER_SEQUENCE;
    in[2 * i + 1] = (uint8_t)(sizeof in - 2 * i - 2);
  }
  der_t r;
  err_t e = {0};
  der_init(&r, slice_of(in, sizeof in));
  for (size_t i = 0; i < LIM_DER_DEPTH; i++) assert_true(der_enter(&r, DER_SEQUENCE));
  assert_false(der_enter(&r, DER_SEQUENCE));
  assert_true(rc_is(der_end(&r, &e), RC_FULL));
  assert_string_equal(e.reason, "der_depth");
  assert_true(rc_is(der_check(slice_of(in, sizeof in), NULL), RC_FULL));
  assert_true(rc_ok(der_check(slice_of(in + 2, sizeof in - 2), NULL)));
}

static void test_check(void **state)
{
  static const struct {
    const uint8_t *p;
    size_t n;
    const char *why;
  } rows[] = {
#define CHECK_ROW(lit, why) {(const uint8_t *)("" lit), sizeof(lit) - 1, why}
    CHECK_ROW("", ""),
    CHECK_ROW("\x30\x06\x30\x04\xa0\x02\x05\x00", ""),
    CHECK_ROW("\x30\x06\x30\x04\xa0\x02\x05\x01", "der_truncated"),
    CHECK_ROW("\x30\x03\x05\x01\x00", "der_null"),
    CHECK_ROW("\x30\x05\xa0\x03\x01\x01\x05", "der_boolean"),
    CHECK_ROW("\x30\x04\xa0\x02\x02\x00", "der_integer_empty"),
    CHECK_ROW("\x10\x00", "der_form"),
    CHECK_ROW("\x22\x00", "der_form"),
    CHECK_ROW("\x24\x00", "der_form"),
    CHECK_ROW("\x00\x00", "der_type"),
    CHECK_ROW("\x28\x00", "der_type"),
    CHECK_ROW("\x09\x00", "der_type"),
    CHECK_ROW("\x0a\x01\x7f", ""),
    CHECK_ROW("\x0a\x02\x00\x7f", "der_integer_not_minimal"),
    CHECK_ROW("\x1c\x06\x00\x00\x00\x41\x00\x00", "der_string"),
    CHECK_ROW("\x1e\x02\x00\x41", ""),
    CHECK_ROW("\x1e\x01\x00", "der_string"),
    CHECK_ROW("\x17\x01\x00", "der_time"),
    CHECK_ROW("\x30\x02\x05\x00\x05", "der_truncated"),
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    rc_t r = der_check(slice_of(rows[i].p, rows[i].n), &e);
    if (rc_ok(r) != (rows[i].why[0] == 0) || strcmp(e.reason ? e.reason : "", rows[i].why) != 0)
      fail_msg("row %zu: %s", i, e.reason ? e.reason : "");
  }
}

static void test_set_order(void **state)
{
  static const uint8_t sorted[] = "\x02\x01\x01\x02\x01\x01\x02\x01\x02\x02\x02\x00\x80", wrong[] = "\x02\x01\x02\x02\x01\x01";
  der_t r;
  der_init(&r, slice_of(sorted, sizeof sorted - 1));
  der_check_set(&r, slice_of(sorted, sizeof sorted - 1));
  assert_true(der_ok(&r));
  der_check_set(&r, slice_of(wrong, sizeof wrong - 1));
  assert_string_equal(r.reason, "der_set_order");
}

static void test_written(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(4096);
  size_t all = der_open(&b, DER_SEQUENCE);
  der_put_int(&b, 0);
  der_put_int(&b, -129);
  der_put_int(&b, INT64_MIN);
  der_put_unsigned(&b, S("\0\0\x80\x01"));
  der_put_unsigned(&b, (slice_t){NULL, 0});
  der_put_bool(&b, true);
  der_put_null(&b);
  der_put_oid(&b, S("\x55\x04\x03"));
  der_put_octets(&b, S("ab"));
  der_put_bits(&b, S("\xa0"), 5);
  der_put_named_bits(&b, 1u << 0 | 1u << 2);
  der_put_named_bits(&b, 1u << 8);
  der_put_named_bits(&b, 0);
  der_close(&b, all);
  static const uint8_t want[] = "\x30\x37"
    "\x02\x01\x00" "\x02\x02\xff\x7f" "\x02\x08\x80\0\0\0\0\0\0\0" "\x02\x03\0\x80\x01" "\x02\x01\x00" "\x01\x01\xff" "\x05\x00"
    "\x06\x03\x55\x04\x03" "\x04\x02" "ab" "\x03\x02\x05\xa0" "\x03\x02\x05\xa0" "\x03\x03\x07\x00\x80" "\x03\x01\x00";
  assert_int_equal(b.n, sizeof want - 1);
  assert_memory_equal(b.p, want, sizeof want - 1);
  assert_true(rc_ok(der_check(buf_slice(&b), NULL)));
}

static void test_integers_written(void **state)
{
  static const int64_t rows[] = {0, 1, 127, 128, 255, 256, 32767, 32768, -1, -128, -129, -32768, -32769, INT64_MAX, INT64_MIN};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    BUF_SCOPED buf_t b = buf_heap(16);
    der_t r;
    der_put_int(&b, rows[i]);
    der_init(&r, buf_slice(&b));
    slice_t v = der_integer(&r);
    assert_true(rc_ok(der_end(&r, NULL)));
    uint64_t back = v.p[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t k = 0; k < v.n; k++) back = back << 8 | v.p[k];
    assert_int_equal((int64_t)back, rows[i]);
  }
}

/* Every length around the changes of form is written minimally and read back. */
static void test_lengths(void **state)
{
  static const size_t sizes[] = {0, 1, 125, 126, 127, 128, 129, 255, 256, 257, 65535, 65536, 70000, 0xffffff - 5};
  enum { MOST = 0x1000000 };
  MEM_SCOPED uint8_t *content = mem_alloc(MOST);
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    BUF_SCOPED buf_t b = buf_heap(2 * MOST), c = buf_heap(2 * MOST);
    size_t outer = der_open(&b, DER_SEQUENCE), inner = der_open(&b, DER_OCTETS);
    buf_put(&b, slice_of(content, sizes[i]));
    der_close(&b, inner);
    der_close(&b, outer);
    size_t mark = der_open(&c, DER_SEQUENCE);
    der_put_octets(&c, slice_of(content, sizes[i]));
    der_close(&c, mark);
    assert_true(slice_eq(buf_slice(&b), buf_slice(&c)));
    der_t r;
    der_init(&r, buf_slice(&b));
    (void)der_enter(&r, DER_SEQUENCE);
    assert_int_equal(der_get(&r, DER_OCTETS).n, sizes[i]);
    der_leave(&r);
    assert_true(rc_ok(der_end(&r, NULL)));
  }
  BUF_SCOPED buf_t longest = buf_heap(2 * MOST);
  der_put_octets(&longest, slice_of(content, MOST - 1));
  assert_memory_equal(longest.p, "\x04\x83\xff\xff\xff", 5);
  buf_reset(&longest);
  der_put_octets(&longest, slice_of(content, MOST)); /* longer than the reader takes */
  assert_memory_equal(longest.p, "\x04\x84\x01\x00\x00\x00", 6);
}

static void test_times_written(void **state)
{
  static const struct {
    int64_t s;
    const char *der;
  } rows[] = {
    {-631152000, "\x17\x0d" "500101000000Z"},
    {-631152001, "\x18\x0f" "19491231235959Z"},
    {0, "\x17\x0d" "700101000000Z"},
    {951782400, "\x17\x0d" "000229000000Z"},
    {2524607999, "\x17\x0d" "491231235959Z"},
    {2524608000, "\x18\x0f" "20500101000000Z"},
    {253402300799, "\x18\x0f" "99991231235959Z"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    BUF_SCOPED buf_t b = buf_heap(32);
    der_put_time(&b, (us_t){rows[i].s * US_PER_S + 999999});
    assert_true(slice_is(buf_slice(&b), rows[i].der));
    der_t r;
    der_init(&r, buf_slice(&b));
    assert_int_equal(der_time(&r, NULL).us, rows[i].s * US_PER_S);
  }
}

static void test_cap(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(10);
  size_t mark = der_open(&b, DER_SEQUENCE);
  der_put_octets(&b, S("12345678"));
  der_put_int(&b, 5);
  der_close(&b, mark);
  assert_true(rc_is(buf_rc(&b), RC_FULL));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_forms),    cmocka_unit_test(test_values),  cmocka_unit_test(test_sticky_and_field),
    cmocka_unit_test(test_depth),    cmocka_unit_test(test_check),   cmocka_unit_test(test_set_order),
    cmocka_unit_test(test_written),  cmocka_unit_test(test_integers_written), cmocka_unit_test(test_lengths), cmocka_unit_test(test_times_written),
    cmocka_unit_test(test_cap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Distinguished names: RFC 5280 4.1.2.4, text as RFC 4514. */
#include "base/check.h"
#include "x509/dn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct attr {
  const char *oid; /* content octets, terminated: none here holds a zero */
  uint8_t tag;
  const char *value;
  size_t n;
  bool joined;
} attr_t;

#define ATTR(oid, tag, lit, joined) {oid, tag, lit, sizeof(lit) - 1, joined}
#define CN "\x55\x04\x03"
#define O "\x55\x04\x0a"
#define OU "\x55\x04\x0b"
#define EMAIL "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"

static void put_name(buf_t *b, const attr_t *v, size_t n)
{
  size_t name = der_open(b, DER_SEQUENCE);
  for (size_t i = 0; i < n;) {
    size_t set = der_open(b, DER_SET);
    do {
      size_t one = der_open(b, DER_SEQUENCE);
      der_put_oid(b, slice_str(v[i].oid));
      der_put(b, v[i].tag, slice_of(v[i].value, v[i].n));
      der_close(b, one);
    } while (++i < n && v[i].joined);
    der_close(b, set);
  }
  der_close(b, name);
}

static const char *read_name(slice_t in, dn_t *ret)
{
  static err_t e;
  der_t r;
  e = (err_t){0};
  der_init(&r, in);
  *ret = dn_read(&r);
  return rc_ok(der_end(&r, &e)) ? "" : e.reason;
}

static void test_text(void **state)
{
  static const attr_t v[] = {
    ATTR("\x55\x04\x06", DER_PRINTABLE, "DE", false),
    ATTR(O, DER_UTF8, "A, \"B\" + <C>; \\ = #", false),
    ATTR(OU, DER_UTF8, "one", false),
    ATTR(OU, DER_UTF8, "two", true),
    ATTR(EMAIL, DER_IA5, "a@b", false),
    ATTR(OU, DER_T61, "Caf\xe9", false),
    ATTR(OU, DER_BMP, "\x20\xac\0A", false),
    ATTR(OU, DER_UNIVERSAL, "\0\1\xf6\0", false),
    ATTR(OU, DER_UTF8, "", false),
    ATTR(CN, DER_UTF8, "first", false),
    ATTR(CN, DER_UTF8, " #x\0y\n ", false),
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  BUF_SCOPED buf_t b = buf_heap(4096);
  dn_t dn;
  slice_t text, cn;
  put_name(&b, v, COUNT_OF(v));
  assert_string_equal(read_name(buf_slice(&b), &dn), "");
  assert_int_equal(dn.n, COUNT_OF(v));
  assert_true(slice_eq(dn.raw, buf_slice(&b)));
  assert_true(rc_ok(dn_cn(a, &dn, &cn)));
  assert_true(slice_eq(cn, S(" #x\0y\n ")));
  assert_true(rc_ok(dn_text(a, &dn, &text)));
  assert_true(slice_is(text, "CN=\\ #x\\00y\\0a\\ ,CN=first,OU=,OU=\xf0\x9f\x98\x80,OU=\xe2\x82\xac" "A,OU=Caf\xc3\xa9,"
                             "1.2.840.113549.1.9.1=#1603614062,OU=one+OU=two,O=A\\, \\\"B\\\" \\+ \\<C\\>\\; \\\\ = #,C=DE"));
  dn_iter_t it = {0};
  dn_attr_t attr;
  size_t n = 0;
  while (dn_next(&dn, &it, &attr)) {
    assert_true(slice_eq(attr.value, slice_of(v[n].value, v[n].n)));
    assert_int_equal(attr.joined, v[n].joined);
    n++;
  }
  assert_int_equal(n, COUNT_OF(v));
}

static void test_cn_types(void **state)
{
  static const struct {
    attr_t attr;
    const char *utf8;
  } rows[] = {
    {ATTR(CN, DER_UTF8, "\xc3\xa9", false), "\xc3\xa9"},   {ATTR(CN, DER_T61, "\xe9", false), "\xc3\xa9"},
    {ATTR(CN, DER_PRINTABLE, "a", false), "a"},            {ATTR(CN, DER_BMP, "\0\xe9\0b", false), "\xc3\xa9" "b"},
    {ATTR(CN, DER_UNIVERSAL, "\0\0\0a", false), "a"},      {ATTR(CN, DER_IA5, "x", false), "x"},
    {ATTR(O, DER_UTF8, "none", false), ""},                {ATTR(CN, DER_T61, "\x7f\x80", false), "\x7f\xc2\x80"},
    {ATTR(CN, DER_BMP, "\xd7\xff\xe0\0", false), "\xed\x9f\xbf\xee\x80\x80"}, /* around the surrogates */
    {ATTR(CN, DER_BMP, "\0\x7f\0\x80\x07\xff\x08\0", false), "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80"},
    {ATTR(CN, DER_UNIVERSAL, "\0\0\xff\xff\0\1\0\0\0\x10\xff\xff", false), "\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    BUF_SCOPED buf_t b = buf_heap(256);
    dn_t dn;
    slice_t cn;
    put_name(&b, &rows[i].attr, 1);
    assert_string_equal(read_name(buf_slice(&b), &dn), "");
    assert_true(rc_ok(dn_cn(a, &dn, &cn)));
    assert_true(slice_is(cn, rows[i].utf8));
  }
}

static void test_refused(void **state)
{
  static const struct {
    attr_t attr;
    const char *why;
  } rows[] = {
    {ATTR(CN, DER_UTF8, "\xc3", false), "dn_string"},          {ATTR(CN, DER_UTF8, "\xed\xa0\x80", false), "dn_string"},
    {ATTR(CN, DER_BMP, "a", false), "dn_string"},              {ATTR(CN, DER_BMP, "\xd8\0\xdc\0", false), "dn_string"},
    {ATTR(CN, DER_BMP, "\xd8\0", false), "dn_string"},         {ATTR(CN, DER_BMP, "\xdf\xff", false), "dn_string"},
    {ATTR(CN, DER_UNIVERSAL, "\0\x11\0\0", false), "dn_string"}, {ATTR(CN, DER_OCTETS, "a", false), "dn_string_type"},
    {ATTR(CN, DER_SEQUENCE, "", false), "dn_string_type"},     {ATTR(CN, DER_BITS, "\x01", false), "dn_string"},
    {ATTR("\x80", DER_UTF8, "a", false), "der_oid"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    BUF_SCOPED buf_t b = buf_heap(256);
    dn_t dn;
    put_name(&b, &rows[i].attr, 1);
    assert_string_equal(read_name(buf_slice(&b), &dn), rows[i].why);
  }
  static const attr_t unsorted[] = {ATTR(OU, DER_UTF8, "two", false), ATTR(OU, DER_UTF8, "one", true)};
  BUF_SCOPED buf_t b = buf_heap(256);
  dn_t dn;
  put_name(&b, unsorted, 2);
  assert_string_equal(read_name(buf_slice(&b), &dn), "der_set_order");
}

/* The alphabet of PrintableString (X.680 41.4): what is outside is read, and said. */
static void test_printable(void **state)
{
  static const struct {
    const char *value;
    bool bad;
  } rows[] = {
    {"azAZ09 '()+,-./:=?", false}, {"", false}, {"a*", true}, {"@a", true}, {"a_b", true}, {"a\x80", true}, {"&", true},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    BUF_SCOPED buf_t b = buf_heap(256);
    dn_t dn;
    attr_t one = {O, DER_PRINTABLE, rows[i].value, strlen(rows[i].value), false};
    put_name(&b, &one, 1);
    size_t n = b.n;
    buf_byte(&b, '*'); /* lies behind the name */
    assert_string_equal(read_name(slice_of(b.p, n), &dn), "");
    assert_int_equal(dn.bad_printable, rows[i].bad);
  }
  attr_t zero = ATTR(O, DER_PRINTABLE, "a\0b", false);
  BUF_SCOPED buf_t b = buf_heap(256);
  dn_t dn;
  put_name(&b, &zero, 1);
  assert_string_equal(read_name(buf_slice(&b), &dn), "");
  assert_true(dn.bad_printable);
}

/* Whatever the arena lacks is said so, and no text comes out cut. */
static void test_memory(void **state)
{
  static const attr_t v[] = {ATTR(O, DER_UTF8, "Organisation, with an escape", false), ATTR(CN, DER_BMP, "\0\xe9", false)};
  BUF_SCOPED buf_t b = buf_heap(256);
  dn_t dn;
  put_name(&b, v, COUNT_OF(v));
  assert_string_equal(read_name(buf_slice(&b), &dn), "");
  bool done = false;
  for (size_t budget = 0; budget < 4096 && !done; budget += 16) {
    ARENA_SCOPED arena_t *a = arena_new(budget);
    slice_t text, cn;
    rc_t r = dn_cn(a, &dn, &cn);
    if (rc_ok(r)) r = dn_text(a, &dn, &text);
    done = rc_ok(r);
    assert_true(done || rc_is(r, RC_NOMEM));
    if (done) assert_true(slice_is(text, "CN=\xc3\xa9,O=Organisation\\, with an escape"));
  }
  assert_true(done);
}

static void test_edges(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  dn_t dn;
  slice_t text;
  assert_string_equal(read_name(S("\x30\x00"), &dn), "");
  assert_int_equal(dn.n, 0);
  assert_true(rc_ok(dn_text(a, &dn, &text)));
  assert_int_equal(text.n, 0);
  assert_string_equal(read_name(S("\x30\x02\x31\x00"), &dn), "");
  assert_true(dn.empty_rdn);
  assert_true(rc_ok(dn_text(a, &dn, &text)));
  assert_int_equal(text.n, 0);

  BUF_SCOPED buf_t b = buf_heap(8192);
  attr_t many[LIM_DN_ATTRIBUTES + 1];
  for (size_t i = 0; i < COUNT_OF(many); i++) many[i] = (attr_t)ATTR(OU, DER_PRINTABLE, "a*", false);
  put_name(&b, many, LIM_DN_ATTRIBUTES);
  assert_string_equal(read_name(buf_slice(&b), &dn), "");
  assert_true(dn.bad_printable);
  assert_true(rc_ok(dn_text(a, &dn, &text)));
  buf_reset(&b);
  put_name(&b, many, COUNT_OF(many));
  assert_string_equal(read_name(buf_slice(&b), &dn), "dn_attributes");
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_cn_types), cmocka_unit_test(test_refused), cmocka_unit_test(test_printable), cmocka_unit_test(test_memory), cmocka_unit_test(test_edges)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

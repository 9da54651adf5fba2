/* Certificate requests (RFC 2986): one good one, and each way to spoil it with the name of its refusal. */
#include "base/check.h"
#include "wire/pem.h"
#include "x509/csr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct shape {
  int64_t version;
  slice_t subject, spki, attributes; /* whole values; no attributes: left out */
  slice_t behind_info, behind;
} shape_t;

#define P256_OIDS "\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define X32 "0123456789abcdef0123456789abcdef"
static const char p256[] = "\x30\x59" P256_OIDS "\x03\x42\x00\x04" X32 X32;
static const char ed25519[] = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00" X32;
static const char cn_a_test[] = "\x30\x11\x31\x0f\x30\x0d\x06\x03\x55\x04\x03\x0c\x06" "a.test";

static shape_t good(void)
{
  return (shape_t){.subject = slice_of(cn_a_test, sizeof cn_a_test - 1), .spki = slice_of(p256, sizeof p256 - 1), .attributes = S("\xa0\x00")};
}

static void put_csr(buf_t *b, const shape_t *s)
{
  buf_reset(b);
  size_t all = der_open(b, DER_SEQUENCE), info = der_open(b, DER_SEQUENCE);
  der_put_int(b, s->version);
  buf_put(b, s->subject);
  buf_put(b, s->spki);
  buf_put(b, s->attributes);
  buf_put(b, s->behind_info);
  der_close(b, info);
  buf_put(b, S("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"));
  der_put_bits(b, S("\x30\x06\x02\x01\x01\x02\x01\x01"), 0);
  der_close(b, all);
  buf_put(b, s->behind);
}

/* extensionRequest with these Extension values. */
static slice_t put_request(buf_t *b, slice_t extensions)
{
  buf_reset(b);
  size_t attrs = der_open(b, DER_CTX_CONS(0)), attr = der_open(b, DER_SEQUENCE);
  der_put_oid(b, oid_der(OID_EXTENSION_REQUEST));
  size_t set = der_open(b, DER_SET), list = der_open(b, DER_SEQUENCE);
  buf_put(b, extensions);
  der_close(b, list);
  der_close(b, set);
  der_close(b, attr);
  der_close(b, attrs);
  return buf_slice(b);
}

static void put_extension(buf_t *b, oid_t id, slice_t body)
{
  size_t x = der_open(b, DER_SEQUENCE);
  der_put_oid(b, oid_der(id));
  der_put_octets(b, body);
  der_close(b, x);
}

static const char *parse(arena_t *a, const shape_t *s, csr_t *ret)
{
  static err_t e;
  BUF_SCOPED buf_t b = buf_heap(64 * 1024);
  e = (err_t){0};
  put_csr(&b, s);
  slice_t der = arena_dup(a, buf_slice(&b));
  csr_t before = {.signature = S("before")};
  *ret = before;
  rc_t r = csr_parse(a, der, ret, &e);
  if (rc_ok(r)) return "";
  assert_true(slice_is(ret->signature, "before"));
  assert_non_null(e.field);
  assert_non_null(e.text);
  return e.reason;
}

static void test_good(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  BUF_SCOPED buf_t x = buf_heap(1024), attrs = buf_heap(1024);
  put_extension(&x, OID_SUBJECT_ALT_NAME,
                S("\x30\x29\x82\x06" "A.test\x82\x06" "b.test\x82\x06" "a.test\x87\x04\xc0\0\2\1\x82\x09" "192.0.2.1"));
  put_extension(&x, OID_KEY_USAGE, S("\x03\x02\x05\xa0"));
  put_extension(&x, OID_EXT_KEY_USAGE, S("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"));
  put_extension(&x, OID_BASIC_CONSTRAINTS, S("\x30\x00"));
  put_extension(&x, OID_TLS_FEATURE, S("\x30\x03\x02\x01\x05"));
  put_extension(&x, OID_SUBJECT_KEY_ID, S("\x04\x01\x01"));
  shape_t s = good();
  s.attributes = put_request(&attrs, buf_slice(&x));
  csr_t c;
  assert_string_equal(parse(a, &s, &c), "");
  assert_true(c.must_staple);
  assert_int_equal(c.names.n, 3);
  assert_true(slice_is(c.names.v[0].text, "a.test") && slice_is(c.names.v[1].text, "b.test"));
  assert_true(slice_is(c.names.v[2].text, "192.0.2.1"));
  assert_int_equal(c.names.v[2].kind, NAME_IP);
  assert_int_equal(c.key_usage, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT);
  assert_int_equal(c.nekus, 1);
  assert_int_equal(oid_find(c.ekus[0]), OID_SERVER_AUTH);
  assert_int_equal(c.exts.n, 6);
  assert_int_equal(c.spki.parts.kind, KEY_P256);
  assert_int_equal(c.spki.parts.point.n, 65);
  assert_true(slice_eq(c.spki.raw, s.spki));
  key_sigalg_t alg;
  assert_true(rc_ok(sigalg_from_der(c.sig_alg, &alg, NULL)));
  assert_int_equal(alg, SIG_ECDSA_SHA256);
  assert_int_equal(c.signature.n, 8);
  /* The signed bytes are the first value inside the request. */
  assert_ptr_equal(c.tbs.p, c.der.p + 4);
  assert_int_equal(c.tbs.p[0], DER_SEQUENCE);
}

static void test_cn(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  csr_t c;
  shape_t s = good();
  assert_string_equal(parse(a, &s, &c), "");
  assert_int_equal(c.names.n, 1); /* the CN is a name that is asked for */
  s.subject = S("\x30\x00");
  assert_string_equal(parse(a, &s, &c), "");
  assert_int_equal(c.names.n, 0);
  s.subject = S("\x30\x13\x31\x11\x30\x0f\x06\x03\x55\x04\x03\x0c\x08" "Jane Doe");
  assert_string_equal(parse(a, &s, &c), "");
  assert_int_equal(c.names.n, 0); /* just text */
  s = good();
  s.attributes = S("");
  assert_string_equal(parse(a, &s, &c), "");
  s.spki = slice_of(ed25519, sizeof ed25519 - 1);
  assert_string_equal(parse(a, &s, &c), "");
  assert_int_equal(c.spki.parts.kind, KEY_ED25519);
}

static void test_frame(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  csr_t c;
  shape_t s = good();
  s.behind = S("\0");
  assert_string_equal(parse(a, &s, &c), "der_trailing");
  s = good();
  s.behind_info = S("\x05\x00");
  assert_string_equal(parse(a, &s, &c), "der_trailing");
  s = good();
  s.version = 1;
  assert_string_equal(parse(a, &s, &c), "csr_version");
  s = good();
  s.subject = S("\x30\x02\x31\x00");
  assert_string_equal(parse(a, &s, &c), "dn_rdn_empty");
  s = good();
  slice_t huge = {arena_alloc(a, LIM_CSR_DER), LIM_CSR_DER};
  s.behind = huge;
  assert_string_equal(parse(a, &s, &c), "csr_size");
  err_t e = {0};
  assert_true(rc_is(csr_parse(a, huge, &c, &e), RC_SYNTAX)); /* short enough to be looked at */
  for (size_t budget = 16; budget < 400; budget += 16) { /* whatever is not enough is said so */
    ARENA_SCOPED arena_t *small = arena_new(budget);
    BUF_SCOPED buf_t b = buf_heap(4096);
    s = good();
    put_csr(&b, &s);
    rc_t r = csr_parse(small, buf_slice(&b), &c, NULL);
    assert_true(rc_ok(r) || rc_is(r, RC_NOMEM));
  }
}

static void test_keys(void **state)
{
  static const struct {
    slice_t spki;
    const char *why;
  } rows[] = {
#define SPKI(lit, why) {{(const uint8_t *)("" lit), sizeof(lit) - 1}, why}
    SPKI("\x30\x59" P256_OIDS "\x03\x42\x00\x05" X32 X32, "spki_key"),
    SPKI("\x30\x39" P256_OIDS "\x03\x22\x00\x02" X32, "spki_key"),
    SPKI("\x30\x59" P256_OIDS "\x03\x42\x01\x04" X32 X32, "der_bits"),
    SPKI("\x30\x2c\x30\x07\x06\x03\x2b\x65\x70\x05\x00\x03\x21\x00" X32, "spki_parameters"),
    SPKI("\x30\x2b\x30\x05\x06\x03\x2b\x65\x70\x03\x22\x00" X32 "x", "spki_key"),
    SPKI("\x30\x2a\x30\x05\x06\x03\x2b\x65\x71\x03\x21\x00" X32, "spki_algorithm"),
    SPKI("\x30\x14\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x03\x00\x30\x00", "spki_key"),
    SPKI("\x30\x18\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x03\x09\x00\x30\x06\x02\x01\x03\x02\x01\x03", "spki_parameters"),
    SPKI("\x30\x1a\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x09\x00\x30\x06\x02\x01\x83\x02\x01\x03", "spki_key"),
    SPKI("\x30\x1a\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x09\x00\x30\x06\x02\x01\x03\x02\x01\x03", ""),
    SPKI("\x30\x4e\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x21\x03\x3a\x00\x04" X32 "0123456789abcdef01234567", "spki_algorithm"), /* P-224 */
    SPKI("\x30\x1a\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x09\x00\x30\x06\x02\x01\x00\x02\x01\x03", ""), /* its size is for key_check */
    SPKI("\x30\x00", "der_missing"),
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    csr_t c;
    shape_t s = good();
    s.spki = rows[i].spki;
    const char *got = parse(a, &s, &c);
    if (strcmp(got, rows[i].why) != 0) fail_msg("row %zu: %s, not %s", i, got, rows[i].why);
  }
}

static void test_extensions(void **state)
{
  static const struct {
    oid_t id;
    const char *body;
    size_t n;
    const char *why;
  } rows[] = {
#define BODY(id, lit, why) {id, lit, sizeof(lit) - 1, why}
    BODY(OID_SUBJECT_ALT_NAME, "\x30\x00", ""),
    BODY(OID_SUBJECT_ALT_NAME, "\x30\x00\x00", "der_trailing"),
    BODY(OID_SUBJECT_ALT_NAME, "\x30\x05\x82\x03" "a_b", "name_underscore"),
    BODY(OID_SUBJECT_ALT_NAME, "\x30\x04\x88\x02\x2a\x03", "name_kind"),
    BODY(OID_SUBJECT_ALT_NAME, "\x30\x04\xa4\x02\x30\x00", "name_kind"),
    BODY(OID_SUBJECT_ALT_NAME, "\x30\x02\x8a\x00", "ext_general_name"),
    BODY(OID_SUBJECT_ALT_NAME, "\x30\x02\xa2\x00", "ext_general_name"),
    BODY(OID_SUBJECT_ALT_NAME, "\x04\x00", "der_tag"),
    BODY(OID_KEY_USAGE, "\x03\x02\x04\xa0", "ext_key_usage_zeros"),
    BODY(OID_KEY_USAGE, "\x03\x02\x05\xa1", "der_bits"),
    BODY(OID_KEY_USAGE, "\x03\x04\x00\xa0\xa0\xa1", "ext_key_usage_long"),
    BODY(OID_EXT_KEY_USAGE, "\x30\x00", "der_missing"),
    BODY(OID_BASIC_CONSTRAINTS, "\x30\x03\x01\x01\xff", "csr_ca"),
    BODY(OID_BASIC_CONSTRAINTS, "\x30\x03\x01\x01\x00", "der_default"),
    BODY(OID_TLS_FEATURE, "\x30\x03\x02\x01\x80", "der_integer_negative"),
    BODY(OID_NAME_CONSTRAINTS, "\x30\x00", "csr_extension"),
    BODY(OID_CERTIFICATE_POLICIES, "\x30\x00", "csr_extension"),
    BODY(OID_AUTHORITY_KEY_ID, "\x30\x00", "csr_extension"),
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    BUF_SCOPED buf_t x = buf_heap(1024), attrs = buf_heap(1024);
    csr_t c;
    shape_t s = good();
    put_extension(&x, rows[i].id, slice_of(rows[i].body, rows[i].n));
    s.attributes = put_request(&attrs, buf_slice(&x));
    const char *got = parse(a, &s, &c);
    if (strcmp(got, rows[i].why) != 0) fail_msg("row %zu: %s, not %s", i, got, rows[i].why);
  }
  BUF_SCOPED buf_t x = buf_heap(4096), attrs = buf_heap(4096);
  csr_t c;
  shape_t s = good();
  put_extension(&x, OID_KEY_USAGE, S("\x03\x02\x05\xa0"));
  put_extension(&x, OID_KEY_USAGE, S("\x03\x02\x05\xa0"));
  s.attributes = put_request(&attrs, buf_slice(&x));
  assert_string_equal(parse(a, &s, &c), "ext_duplicate");
  buf_reset(&x);
  buf_put(&x, S("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\x00\x04\x04\x03\x02\x05\xa0"));
  s.attributes = put_request(&attrs, buf_slice(&x));
  assert_string_equal(parse(a, &s, &c), "der_default");
}

static void test_name_count(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 22);
  for (size_t n = LIM_CERT_NAMES - 1; n <= LIM_CERT_NAMES + 1; n++) {
    BUF_SCOPED buf_t names = buf_heap(8192), x = buf_heap(8192), attrs = buf_heap(8192);
    size_t seq = der_open(&names, DER_SEQUENCE);
    for (size_t i = 0; i < n; i++) der_put(&names, DER_CTX(NAME_DNS), arena_printf(a, "n%zu.test", i));
    der_close(&names, seq);
    put_extension(&x, OID_SUBJECT_ALT_NAME, buf_slice(&names));
    csr_t c;
    shape_t s = good();
    s.attributes = put_request(&attrs, buf_slice(&x));
    const char *why = parse(a, &s, &c); /* the CN is one more */
    assert_string_equal(why, n < LIM_CERT_NAMES ? "" : "name_count");
  }
}

static void test_attributes(void **state)
{
  static const struct {
    const char *p;
    size_t n;
    const char *why;
  } rows[] = {
#define ATTRS(lit, why) {lit, sizeof(lit) - 1, why}
#define CHALLENGE(value) "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07" value
    ATTRS("\xa0\x14\x30\x12" CHALLENGE("\x31\x05\x0c\x03" "abc"), ""),
    ATTRS("\xa0\x0f\x30\x0d" CHALLENGE("\x31\x00"), "csr_attribute"),
    ATTRS("\xa0\x12\x30\x10" CHALLENGE("\x31\x03\x02\x01\x01"), "csr_attribute"),
    ATTRS("\xa0\x12\x30\x10" CHALLENGE("\x31\x03\x0c\x01\xff"), "csr_attribute"),
    ATTRS("\xa0\x12\x30\x10" CHALLENGE("\x31\x03\x16\x01\xff"), ""),
    ATTRS("\xa0\x13\x30\x11" CHALLENGE("\x31\x04\x1e\x02\0a"), ""),
    ATTRS("\xa0\x12\x30\x10" CHALLENGE("\x31\x03\x1e\x01" "a"), "csr_attribute"),
    ATTRS("\xa0\x17\x30\x15" CHALLENGE("\x31\x08\x0c\x01" "a\x0c\x03" "abc"), "der_trailing"),
    ATTRS("\xa0\x0b\x30\x09\x06\x02\x2a\x03\x31\x03\x01\x01\xff", ""),
    ATTRS("\xa0\x0b\x30\x09\x06\x02\x2a\x03\x31\x03\x01\x01\x01", "der_boolean"),
    ATTRS("\xa0\x10\x30\x06\x06\x02\x2a\x03\x31\x00\x30\x06\x06\x02\x2a\x03\x31\x00", "csr_attribute"),
    ATTRS("\xa0\x14\x30\x08\x06\x02\x2a\x03\x31\x02\x05\x00\x30\x08\x06\x02\x2a\x03\x31\x02\x05\x00", "csr_attribute_duplicate"),
    ATTRS("\xa0\x14\x30\x08\x06\x02\x2a\x04\x31\x02\x05\x00\x30\x08\x06\x02\x2a\x03\x31\x02\x05\x00", "der_set_order"),
    ATTRS("\xa1\x00", "der_tag"),
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    csr_t c;
    shape_t s = good();
    s.attributes = slice_of(rows[i].p, rows[i].n);
    const char *got = parse(a, &s, &c);
    if (strcmp(got, rows[i].why) != 0) fail_msg("row %zu: %s, not %s", i, got, rows[i].why);
  }
}

static void test_attribute_count(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  for (uint8_t n = CSR_ATTRIBUTES_MAX; n <= CSR_ATTRIBUTES_MAX + 1; n++) {
    BUF_SCOPED buf_t b = buf_heap(1024);
    csr_t c;
    shape_t s = good();
    size_t attrs = der_open(&b, DER_CTX_CONS(0));
    for (uint8_t i = 0; i < n; i++) {
      size_t attr = der_open(&b, DER_SEQUENCE);
      der_put_oid(&b, slice_of((uint8_t[]){0x2a, i}, 2));
      buf_put(&b, S("\x31\x02\x05\x00"));
      der_close(&b, attr);
    }
    der_close(&b, attrs);
    s.attributes = buf_slice(&b);
    assert_string_equal(parse(a, &s, &c), n > CSR_ATTRIBUTES_MAX ? "csr_attribute_count" : "");
  }
}

static void test_pem(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  BUF_SCOPED buf_t der = buf_heap(4096), pem = buf_heap(8192);
  shape_t s = good();
  csr_t c;
  err_t e = {0};
  put_csr(&der, &s);
  pem_emit(&pem, "NEW CERTIFICATE REQUEST", buf_slice(&der));
  assert_true(rc_ok(csr_parse_pem(a, buf_slice(&pem), &c, &e)));
  assert_true(slice_eq(c.der, buf_slice(&der)));
  assert_false(rc_ok(csr_parse_pem(a, S("nothing"), &c, &e)));
  assert_string_equal(e.reason, "pem_missing");
  assert_string_equal(e.field, "csr");
  assert_true(rc_is(csr_parse_pem(a, S("nothing"), &c, NULL), RC_SYNTAX));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_good),       cmocka_unit_test(test_cn),         cmocka_unit_test(test_frame),      cmocka_unit_test(test_keys),
    cmocka_unit_test(test_extensions), cmocka_unit_test(test_name_count), cmocka_unit_test(test_attributes), cmocka_unit_test(test_attribute_count),
    cmocka_unit_test(test_pem),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

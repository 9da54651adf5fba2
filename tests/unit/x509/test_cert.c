/* Certificates: what is read, what is a finding, what is refused (RFC 5280 4.1 and 4.2). */
#include "base/check.h"
#include "base/mem.h"
#include "x509/cert.h"
#include "x509/ext.h"
#include "finding.h"

#include <jansson.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LIT(lit) {(const uint8_t *)("" lit), sizeof(lit) - 1}

typedef struct shape {
  slice_t version, serial, alg, issuer, validity, subject, spki, unique, exts, outer_alg, behind;
} shape_t;

static const char *const names_of[] = {"version", "serial", "alg", "issuer", "validity", "subject", "spki", "unique", "exts", "outer_alg", "behind"};

static const shape_t good = {
  .version = LIT("\xa0\x03\x02\x01\x02"),
  .serial = LIT("\x02\x01\x7f"),
  .alg = LIT("\x30\x05\x06\x03\x2b\x65\x70"),
  .issuer = LIT("\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02" "CA"),
  .validity = LIT("\x30\x1e\x17\x0d" "260101000000Z" "\x17\x0d" "260401000000Z"),
  .subject = LIT("\x30\x11\x31\x0f\x30\x0d\x06\x03\x55\x04\x03\x0c\x06" "a.test"),
  .spki = LIT("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00" "0123456789abcdef0123456789abcdef"),
  .outer_alg = LIT("\x30\x05\x06\x03\x2b\x65\x70"),
};

static slice_t *member(shape_t *s, const char *name)
{
  size_t i = 0;
  while (i + 1 < COUNT_OF(names_of) && strcmp(names_of[i], name) != 0) i++;
  assert_string_equal(names_of[i], name);
  return (slice_t *)(void *)s + i;
}

static void put_cert(buf_t *b, const shape_t *s)
{
  buf_reset(b);
  size_t all = der_open(b, DER_SEQUENCE), tbs = der_open(b, DER_SEQUENCE);
  buf_put(b, s->version);
  buf_put(b, s->serial);
  buf_put(b, s->alg);
  buf_put(b, s->issuer);
  buf_put(b, s->validity);
  buf_put(b, s->subject);
  buf_put(b, s->spki);
  buf_put(b, s->unique);
  buf_put(b, s->exts);
  der_close(b, tbs);
  buf_put(b, s->outer_alg);
  der_put_bits(b, S("signature"), 0);
  der_close(b, all);
  buf_put(b, s->behind);
}

/* [3] with one extension; critical as given. */
static slice_t one_extension(arena_t *a, oid_t id, bool critical, slice_t body)
{
  buf_t b = buf_on(a, 4096);
  size_t outer = der_open(&b, DER_CTX_CONS(3)), list = der_open(&b, DER_SEQUENCE), x = der_open(&b, DER_SEQUENCE);
  der_put_oid(&b, oid_der(id));
  if (critical) der_put_bool(&b, true);
  der_put_octets(&b, body);
  der_close(&b, x);
  der_close(&b, list);
  der_close(&b, outer);
  return buf_slice(&b);
}

static const char *parse(arena_t *a, const shape_t *s, cert_t *ret)
{
  static err_t e;
  buf_t b = buf_on(a, 8192);
  e = (err_t){0};
  put_cert(&b, s);
  return rc_ok(cert_parse(a, buf_slice(&b), ret, &e)) ? "" : e.reason;
}

static void test_good(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  cert_t c;
  slice_t text;
  shape_t s = good;
  assert_string_equal(parse(a, &s, &c), "");
  assert_int_equal(c.nfindings, 0);
  assert_int_equal(c.version, 3);
  assert_int_equal(c.not_before.us / US_PER_S, 1767225600);
  assert_int_equal(c.not_after.us / US_PER_S, 1775001600);
  assert_true(slice_eq(c.spki.raw, s.spki) && slice_eq(c.issuer.raw, s.issuer) && slice_eq(c.subject.raw, s.subject));
  assert_true(slice_is(c.signature, "signature"));
  assert_int_equal(c.path_len, -1);
  assert_false(c.has_san || c.is_ca || c.has_key_usage || c.must_staple);
  assert_true(rc_ok(cert_key_algorithm(a, &c, &text)) && slice_is(text, "Ed25519"));
  assert_int_equal(c.spki.size, 256);
  s.spki = S("\x30\x0a\x30\x04\x06\x02\x2a\x03\x03\x02\x00" "k");
  cert_t other;
  assert_string_equal(parse(a, &s, &other), "");
  assert_true(rc_ok(cert_key_algorithm(a, &other, &text)) && slice_is(text, "1.2.3"));
  cert_t tbs;
  assert_true(rc_ok(cert_parse_tbs(a, c.tbs, &tbs, NULL)));
  assert_true(slice_eq(tbs.tbs, c.tbs) && slice_eq(tbs.serial, c.serial));
  assert_int_equal(tbs.der.n + tbs.sig_alg.n + tbs.signature.n, 0);
  assert_int_equal(tbs.nfindings, 0);
}

static void test_extensions_read(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  cert_t c;
  shape_t s = good;
  s.exts = one_extension(a, OID_SUBJECT_ALT_NAME, true, S("\x30\x23\x82\x06" "A.test\x87\x04\xc0\0\2\1\xa4\x02\x30\x00\x88\x02\x2a\x03\xa0\x08\x06\x02\x2a\x03\xa0\x02\x0c\x00\x81\x01" "e"));
  assert_string_equal(parse(a, &s, &c), "");
  assert_int_equal(c.nfindings, 0);
  assert_true(c.has_san && c.san_critical);
  assert_int_equal(c.sans.n, 6);
  static const char *const texts[] = {"A.test", "192.0.2.1", "", "1.2.3", "1.2.3", "e"};
  static const name_kind_t kinds[] = {NAME_DNS, NAME_IP, NAME_DIRECTORY, NAME_REGISTERED_ID, NAME_OTHER, NAME_EMAIL};
  for (size_t i = 0; i < c.sans.n; i++) {
    assert_int_equal(c.sans.v[i].kind, kinds[i]);
    assert_true(slice_is(c.sans.v[i].text, texts[i]));
  }
  s.exts = one_extension(a, OID_KEY_USAGE, true, S("\x03\x03\x07\x06\x80"));
  assert_string_equal(parse(a, &s, &c), "");
  assert_int_equal(c.key_usage, KU_CERT_SIGN | KU_CRL_SIGN | KU_DECIPHER_ONLY);
  s.exts = one_extension(a, OID_BASIC_CONSTRAINTS, true, S("\x30\x06\x01\x01\xff\x02\x01\x03"));
  assert_string_equal(parse(a, &s, &c), "");
  assert_true(c.is_ca && c.path_len == 3);
  s.exts = one_extension(a, OID_SUBJECT_KEY_ID, false, S("\x04\x02" "id"));
  assert_string_equal(parse(a, &s, &c), "");
  assert_true(slice_is(c.ski, "id"));
  s.exts = one_extension(a, OID_AUTHORITY_KEY_ID, false, S("\x30\x04\x80\x02" "id"));
  assert_string_equal(parse(a, &s, &c), "");
  assert_true(slice_is(c.aki, "id"));
  s.exts = one_extension(a, OID_AUTHORITY_INFO, false, S("\x30\x1e\x30\x0d\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01\x86\x01" "o\x30\x0d\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02\x86\x01" "i"));
  assert_string_equal(parse(a, &s, &c), "");
  assert_int_equal(c.nfindings, 0);
  s.exts = one_extension(a, OID_CRL_DISTRIBUTION_POINTS, false, S("\x30\x09\x30\x07\xa0\x05\xa0\x03\x86\x01" "u"));
  assert_string_equal(parse(a, &s, &c), "");
  assert_int_equal(c.nfindings, 0);
  s.exts = one_extension(a, OID_TLS_FEATURE, false, S("\x30\x03\x02\x01\x05"));
  assert_string_equal(parse(a, &s, &c), "");
  assert_true(c.must_staple);
  s.exts = one_extension(a, OID_EXT_KEY_USAGE, false, S("\x30\x06\x06\x04\x55\x1d\x25\x00"));
  assert_string_equal(parse(a, &s, &c), "");
  assert_true(c.nekus == 1 && oid_find(c.ekus[0]) == OID_ANY_EKU);
}

/* Read nevertheless, with a finding of that rule. */
static const struct {
  const char *part;
  slice_t value; /* of the part; of the body where `ext` is set */
  oid_t ext;
  const char *rule, *text;
} found[] = {
  {"serial", LIT("\x02\x01\x80"), 0, "e_serial_number_not_positive", "negative serial"},
  {"serial", LIT("\x02\x01\x00"), 0, "e_serial_number_not_positive", "zero serial"},
  {"serial", LIT("\x02\x15\x00\xff" "1234567890123456789"), 0, "e_serial_number_longer_than_20_octets", "serial too long"},
  {"outer_alg", LIT("\x30\x05\x06\x03\x2b\x65\x71"), 0, "e_cert_sig_alg_not_match_tbs_sig_alg", NULL},
  {"issuer", LIT("\x30\x00"), 0, "e_issuer_field_empty", NULL},
  {"subject", LIT("\x30\x02\x31\x00"), 0, "cert_dn_empty_rdn", NULL},
  {"subject", LIT("\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x13\x02" "a*"), 0, "e_subject_printable_string_badalpha", NULL},
  {"validity", LIT("\x30\x1e\x17\x0d" "260401000000Z" "\x17\x0d" "260101000000Z"), 0, "e_validity_time_not_positive", NULL},
  {"validity", LIT("\x30\x20\x17\x0d" "260401000000Z" "\x18\x0f" "20270101000000Z"), 0, "e_wrong_time_format_pre2050", NULL},
  {"unique", LIT("\x81\x02\x00\x01"), 0, "e_cert_contains_unique_identifier", NULL},
  {"exts", LIT("\xa3\x02\x30\x00"), 0, "e_ext_cannot_be_empty_sequence", NULL},
  {"spki", LIT("\x30\x2c\x30\x07\x06\x03\x2b\x65\x70\x05\x00\x03\x21\x00" "0123456789abcdef0123456789abcdef"), 0, "cert_spki", NULL},
  {"spki", LIT("\x30\x18\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x03\x09\x00\x30\x06\x02\x01\x03\x02\x01\x03"), 0, "e_spki_rsa_encryption_parameter_not_null", NULL},
  {"spki", LIT("\x30\x1a\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x09\x00\x30\x06\x02\x01\x03\x02\x01\x83"), 0, "e_rsa_exp_negative", NULL},
  {"spki", LIT("\x30\x17\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x06\x00\x30\x03\x02\x01\x03"), 0, "e_rsa_no_public_key", NULL},
  {"spki", LIT("\x30\x1a\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x09\x00\x30\x06\x02\x01\x83\x02\x01\x03"), 0, "e_rsa_no_public_key", NULL},
  {"spki", LIT("\x30\x14\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x03\x00\x30\x00"), 0, "e_rsa_no_public_key", NULL},
  {"exts", LIT("\x30\x00"), OID_SUBJECT_ALT_NAME, "e_ext_san_no_entries", NULL},
  {"exts", LIT("\x30\x02\x82\x00"), OID_SUBJECT_ALT_NAME, "e_ext_san_empty_name", NULL},
  {"exts", LIT("\x30\x05\x82\x03" "a\xff" "b"), OID_SUBJECT_ALT_NAME, "e_ext_san_dns_not_ia5_string", NULL},
  {"exts", LIT("\x30\x05\x82\x03" "a\x80" "b"), OID_SUBJECT_ALT_NAME, "e_ext_san_dns_not_ia5_string", NULL},
  {"exts", LIT("\x30\x05\x82\x03" "a\0b"), OID_SUBJECT_ALT_NAME, "e_san_dns_name_includes_null_char", NULL},
  {"exts", LIT("\x30\x05\x86\x03" "a\xff" "b"), OID_SUBJECT_ALT_NAME, "e_ext_san_uri_not_ia5", NULL},
  {"exts", LIT("\x30\x05\x81\x03" "a\xff" "b"), OID_SUBJECT_ALT_NAME, "e_ext_san_rfc822_format_invalid", NULL},
  {"exts", LIT("\x30\x05\x87\x03" "abc"), OID_SUBJECT_ALT_NAME, "cert_san_ip_length", NULL},
  {"exts", LIT("\x30\x05\x82\x03" "a"), OID_SUBJECT_ALT_NAME, "e_cert_ext_invalid_der", NULL},
  {"exts", LIT("\x03\x02\x00\xa0"), OID_KEY_USAGE, "e_incorrect_ku_encoding", NULL},
  {"exts", LIT("\x03\x01\x00"), OID_KEY_USAGE, "e_ext_key_usage_without_bits", NULL},
  {"exts", LIT("\x30\x03\x01\x01\x01"), OID_BASIC_CONSTRAINTS, "e_basic_constr_invalid_der", NULL},
  {"exts", LIT("\x30\x03\x02\x01\x00"), OID_BASIC_CONSTRAINTS, "e_path_len_constraint_improperly_included", NULL},
  {"exts", LIT("\x30\x00"), OID_EXT_KEY_USAGE, "e_cert_ext_invalid_der", NULL},
  {"exts", LIT("\x30\x00"), OID_SUBJECT_KEY_ID, "e_cert_ext_invalid_der", NULL},
  {"exts", LIT("\x30\x02\x80"), OID_AUTHORITY_KEY_ID, "e_cert_ext_invalid_der", NULL},
  {"exts", LIT("\x31\x00"), OID_AUTHORITY_INFO, "e_cert_ext_invalid_der", NULL},
  {"exts", LIT("\x30\x02\x05\x00"), OID_CRL_DISTRIBUTION_POINTS, "e_cert_ext_invalid_der", NULL},
  {"exts", LIT("\x30\x00"), OID_TLS_FEATURE, "e_cert_ext_invalid_der", NULL},
};

static void test_findings(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  for (size_t i = 0; i < COUNT_OF(found); i++) {
    cert_t c;
    shape_t s = good;
    *member(&s, found[i].part) = found[i].ext ? one_extension(a, found[i].ext, false, found[i].value) : found[i].value;
    const char *why = parse(a, &s, &c);
    if (why[0]) fail_msg("%s: refused, %s", found[i].rule, why);
    const finding_t *f = cert_finding(&c, found[i].rule);
    if (!f || c.nfindings != 1)
      fail_msg("%s: %zu findings, first %s", found[i].rule, c.nfindings, c.nfindings ? c.findings[0].rule : "");
    assert_true(f->text[0] != 0);
    if (found[i].text) assert_string_equal(f->text, found[i].text);
  }
  shape_t v1 = good;
  cert_t c;
  v1.version = S("");
  v1.unique = S("\x82\x01\x00");
  v1.exts = one_extension(a, OID_KEY_USAGE, false, S("\x03\x02\x07\x80"));
  assert_string_equal(parse(a, &v1, &c), "");
  assert_int_equal(c.version, 1);
  assert_non_null(cert_finding(&c, "e_cert_extensions_version_not_3"));
  assert_non_null(cert_finding(&c, "e_cert_unique_identifier_version_not_2_or_3"));
  assert_null(cert_finding(&c, "e_issuer_field_empty"));
}

static void test_refused(void **state)
{
  static const struct {
    const char *part;
    slice_t value;
    const char *why;
  } rows[] = {
    {"behind", LIT("\0"), "der_trailing"},
    {"version", LIT("\xa0\x03\x02\x01\x00"), "der_default"},
    {"version", LIT("\xa0\x03\x02\x01\x03"), "cert_version"},
    {"version", LIT("\xa0\x04\x02\x02\x00\x02"), "der_integer_not_minimal"},
    {"serial", LIT("\x02\x02\x00\x7f"), "der_integer_not_minimal"},
    {"serial", LIT("\x02\x00"), "der_integer_empty"},
    {"serial", LIT(""), "der_tag"},
    {"alg", LIT("\x30\x08\x06\x03\x2b\x65\x70\x01\x01\x01"), "der_boolean"},
    {"alg", LIT("\x30\x81\x05\x06\x03\x2b\x65\x70"), "der_length_not_minimal"},
    {"issuer", LIT("\x30\x80\x00\x00"), "der_indefinite_length"},
    {"validity", LIT("\x30\x1c\x17\x0b" "2601010000Z" "\x17\x0d" "260401000000Z"), "der_time"},
    {"unique", LIT("\x81\x02\x01\x01"), "der_bits"},
    {"exts", LIT("\xa3\x12\x30\x10\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\x00\x04\x04\x03\x02\x05\xa0"), "der_default"},
    {"exts", LIT("\xa3\x14\x30\x12\x30\x07\x06\x03\x55\x1d\x0f\x04\x00\x30\x07\x06\x03\x55\x1d\x0f\x04\x00"), "ext_duplicate"},
    {"exts", LIT("\xa3\x04\x30\x00\x05\x00"), "der_trailing"},
    {"exts", LIT("\xa4\x00"), "der_trailing"},
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    cert_t c = {.version = 77};
    shape_t s = good;
    *member(&s, rows[i].part) = rows[i].value;
    const char *why = parse(a, &s, &c);
    if (strcmp(why, rows[i].why) != 0) fail_msg("%s: %s, not %s", rows[i].part, why, rows[i].why);
    assert_int_equal(c.version, 77);
  }
  cert_t c;
  err_t e = {0};
  slice_t huge = {arena_alloc(a, LIM_CERT_DER + 1), LIM_CERT_DER + 1};
  assert_true(rc_is(cert_parse(a, huge, &c, &e), RC_FULL));
  assert_string_equal(e.reason, "cert_size");
  huge.n--;
  assert_true(rc_is(cert_parse(a, huge, &c, &e), RC_SYNTAX)); /* short enough to be looked at */
  buf_t many = buf_on(a, 8192);
  size_t outer = der_open(&many, DER_CTX_CONS(3)), list = der_open(&many, DER_SEQUENCE);
  for (uint8_t i = 0; i <= LIM_CERT_EXTENSIONS; i++) {
    size_t x = der_open(&many, DER_SEQUENCE);
    der_put_oid(&many, slice_of((uint8_t[]){0x2a, i}, 2));
    der_put_octets(&many, S(""));
    der_close(&many, x);
  }
  der_close(&many, list);
  der_close(&many, outer);
  shape_t s = good;
  s.exts = buf_slice(&many);
  assert_string_equal(parse(a, &s, &c), "ext_count");

  /* The error names the part at fault and where it is. */
  buf_t b = buf_on(a, 8192);
  s = good;
  s.validity = S("\x30\x00");
  put_cert(&b, &s);
  assert_true(rc_is(cert_parse(a, buf_slice(&b), &c, &e), RC_SYNTAX));
  assert_string_equal(e.field, "validity");
  assert_int_equal(e.offset, 36);
}

static const char *names_of_body(arena_t *a, slice_t body, names_t *ret)
{
  static err_t e;
  e = (err_t){0};
  return rc_ok(ext_names(a, arena_dup(a, body), ret, &e)) ? "" : e.reason;
}

/* EDIPartyName, whose parts are DirectoryStrings, and kinds that there are not. */
static void test_general_names(void **state)
{
  static const struct {
    slice_t body;
    const char *why;
  } rows[] = {
    {LIT("\x30\x07\xa5\x05\xa1\x03\x0c\x01" "p"), ""},
    {LIT("\x30\x0c\xa5\x0a\xa0\x03\x13\x01" "a\xa1\x03\x14\x01" "p"), ""},
    {LIT("\x30\x0d\xa5\x0b\xa0\x03\x13\x01" "a\xa1\x04\x1e\x02\0p"), ""},
    {LIT("\x30\x0a\xa5\x08\xa1\x06\x1c\x04\0\0\0p"), ""},
    {LIT("\x30\x06\xa5\x04\xa1\x02\x0c\x00"), "ext_general_name"},
    {LIT("\x30\x07\xa5\x05\xa1\x03\x0c\x01\xff"), "ext_general_name"},
    {LIT("\x30\x07\xa5\x05\xa1\x03\x1e\x01" "p"), "ext_general_name"},
    {LIT("\x30\x09\xa5\x07\xa1\x05\x1c\x03\0\0p"), "ext_general_name"},
    {LIT("\x30\x07\xa5\x05\xa1\x03\x16\x01" "p"), "ext_general_name"},
    {LIT("\x30\x07\xa5\x05\xa0\x03\x0c\x01" "a"), "der_missing"},
    {LIT("\x30\x02\x88\x00"), "der_oid"},
    {LIT("\x30\x02\x89\x00"), "ext_general_name"},
    {LIT("\x30\x02\xa2\x00"), "ext_general_name"},
    {LIT("\x30\x02\x42\x00"), "ext_general_name"},
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    names_t names;
    const char *why = names_of_body(a, rows[i].body, &names);
    if (strcmp(why, rows[i].why) != 0) fail_msg("row %zu: %s, not %s", i, why, rows[i].why);
    if (!why[0]) assert_int_equal(names.v[0].kind, NAME_EDI);
  }
  for (size_t n = LIM_CERT_SANS; n <= LIM_CERT_SANS + 1; n++) {
    buf_t b = buf_on(a, 32 * 1024);
    names_t names;
    size_t seq = der_open(&b, DER_SEQUENCE);
    for (size_t i = 0; i < n; i++) der_put(&b, DER_CTX(NAME_DNS), S("a"));
    der_close(&b, seq);
    assert_string_equal(names_of_body(a, buf_slice(&b), &names), n > LIM_CERT_SANS ? "ext_names_count" : "");
    arena_reset(a);
  }
}

/* Bits behind the last octet of keyUsage are none, whatever lies there. */
static void test_key_usage_ends(void **state)
{
  uint32_t bits = 0;
  assert_true(rc_ok(ext_key_usage(slice_of("\x03\x02\x07\x80\xff", 4), &bits, NULL)));
  assert_int_equal(bits, KU_DIGITAL_SIGNATURE);
}

static void test_serial_text(void **state)
{
  static const struct {
    slice_t serial;
    const char *text;
  } rows[] = {
    {LIT("\x00"), "0"},       {LIT("\x01"), "1"},        {LIT("\x7f"), "7f"},           {LIT("\x00\x80"), "80"},
    {LIT("\x80"), "-80"},     {LIT("\xff"), "-1"},       {LIT("\xff\x7f"), "-81"},      {LIT("\x0a\xbc"), "abc"},
    {LIT("\x80\x00"), "-8000"}, {LIT("\xf0\x00"), "-1000"},
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    slice_t text;
    assert_true(rc_ok(cert_serial_text(a, rows[i].serial, &text)));
    if (!slice_is(text, rows[i].text)) fail_msg("%s: %.*s", rows[i].text, SLICE_ARG(text));
  }
  for (size_t budget = 0; budget < 32; budget += 16) {
    ARENA_SCOPED arena_t *small = arena_new(budget);
    slice_t text;
    assert_true(rc_is(cert_serial_text(small, S("\x7f"), &text), RC_NOMEM));
  }
}

/* Every finding is a rule of zlint, or says with its prefix that it is ours. */
static void test_rule_names(void **state)
{
  char path[4096];
  const char *root = getenv("CERTCTL_SOURCE_ROOT");
  snprintf(path, sizeof path, "%s/../shared/data/lints.jsonl", root ? root : ".");
  FILE *f = fopen(path, "r");
  if (!f) {
    print_message("lints.jsonl is not here: names of rules are not checked\n");
    skip();
  }
  bool known[COUNT_OF(found)] = {false};
  json_t *line;
  while ((line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL))) {
    const char *name = json_string_value(json_object_get(line, "name"));
    for (size_t i = 0; i < COUNT_OF(found); i++) known[i] = known[i] || strcmp(found[i].rule, name) == 0;
    json_decref(line);
  }
  fclose(f);
  for (size_t i = 0; i < COUNT_OF(found); i++)
    if (known[i] == (strncmp(found[i].rule, "cert_", 5) == 0)) fail_msg("%s", found[i].rule);
}

/* Whatever the arena lacks is RC_NOMEM, never a half-read certificate. */
static void test_memory(void **state)
{
  ARENA_SCOPED arena_t *keep = arena_new(1 << 20);
  buf_t b = buf_on(keep, 8192);
  shape_t s = good;
  s.exts = one_extension(keep, OID_SUBJECT_ALT_NAME, true, S("\x30\x0e\x82\x06" "A.test\x87\x04\xc0\0\2\1"));
  put_cert(&b, &s);
  bool done = false;
  for (size_t budget = 0; budget < 4096 && !done; budget += 8) {
    ARENA_SCOPED arena_t *a = arena_new(budget);
    cert_t c;
    rc_t r = cert_parse(a, buf_slice(&b), &c, NULL);
    done = rc_ok(r);
    assert_true(done || rc_is(r, RC_NOMEM));
    if (done) assert_int_equal(c.sans.n, 2);
  }
  assert_true(done);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_good),        cmocka_unit_test(test_extensions_read), cmocka_unit_test(test_findings), cmocka_unit_test(test_refused),
    cmocka_unit_test(test_general_names), cmocka_unit_test(test_key_usage_ends),
    cmocka_unit_test(test_serial_text), cmocka_unit_test(test_rule_names),      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Each rule is broken by a TBSCertificate that breaks it and no other; a sound one passes. Then the
 * table's names, and its verdicts on public test certificates, against the shared data.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "wire/base64.h"
#include "x509/lint.h"
#include "finding.h"

static arena_t *arena;
static sigkey_t *ec, *rsa;

/* ---- a TBSCertificate in pieces, each DER ---- */

enum piece {
  P_VERSION, P_SERIAL, P_SIGALG, P_ISSUER, P_VALIDITY, P_SUBJECT, P_SPKI,
  P_HEAD, /* extensions from here */
  X_KU = P_HEAD, X_EKU, X_BASIC, X_SKI, X_AKI, X_SAN, P_COUNT
};

#define SUBJECT S("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01" "a")
#define VALIDITY S("\x30\x1e\x17\x0d" "260101000000Z" "\x17\x0d" "270101000000Z")
#define EMPTY ((slice_t){(const uint8_t *)"", 0})
#define EMPTY_NAME S("\x30\x00")

/* Extensions by their last arc in 2.5.29, criticality and body. */
#define EXT(arc, body_n, seq_n, body) S("\x30" seq_n "\x06\x03\x55\x1d" arc "\x04" body_n body)
#define EXT_CRITICAL(arc, body_n, seq_n, body) S("\x30" seq_n "\x06\x03\x55\x1d" arc "\x01\x01\xff\x04" body_n body)

#define ID20 "aaaaaaaaaaaaaaaaaaaa"
#define KU_LEAF EXT_CRITICAL("\x0f", "\x04", "\x0e", "\x03\x02\x07\x80")
#define KU_CA EXT_CRITICAL("\x0f", "\x04", "\x0e", "\x03\x02\x01\x06")
#define EKU_SERVER EXT("\x25", "\x0c", "\x13", "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01")
#define EKU_CLIENT EXT("\x25", "\x0c", "\x13", "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02")
#define BASIC_CA EXT_CRITICAL("\x13", "\x05", "\x0f", "\x30\x03\x01\x01\xff")
#define SKI EXT("\x0e", "\x16", "\x1d", "\x04\x14" ID20)
#define AKI EXT("\x23", "\x18", "\x1f", "\x30\x16\x80\x14" ID20)
#define SAN_B EXT("\x11", "\x05", "\x0c", "\x30\x03\x82\x01" "b")

typedef struct change {
  int piece;
  slice_t der; /* no pointer: leave the piece as it is */
} change_t;

static slice_t tbs_make(lint_role_t role, const change_t *changes, size_t n)
{
  slice_t piece[P_COUNT] = {
    [P_VERSION] = S("\xa0\x03\x02\x01\x02"), [P_SERIAL] = S("\x02\x01\x05"), [P_SIGALG] = sigalg_der(SIG_ECDSA_SHA256),
    [P_ISSUER] = SUBJECT, [P_VALIDITY] = VALIDITY, [P_SUBJECT] = SUBJECT, [P_SPKI] = key_spki(ec),
    [X_KU] = role == LINT_CA ? KU_CA : KU_LEAF, [X_EKU] = role == LINT_CA ? EMPTY : EKU_SERVER,
    [X_BASIC] = role == LINT_CA ? BASIC_CA : EMPTY, [X_SKI] = SKI, [X_AKI] = role == LINT_CA ? EMPTY : AKI,
    [X_SAN] = role == LINT_CA ? EMPTY : SAN_B};
  for (size_t i = 0; i < n; i++)
    if (changes[i].der.p) piece[changes[i].piece] = changes[i].der;
  buf_t b = buf_on(arena, LIM_CERT_DER);
  size_t tbs = der_open(&b, DER_SEQUENCE);
  for (size_t i = 0; i < P_HEAD; i++) buf_put(&b, piece[i]);
  size_t tagged = der_open(&b, DER_CTX_CONS(3)), seq = der_open(&b, DER_SEQUENCE);
  for (size_t i = P_HEAD; i < P_COUNT; i++) buf_put(&b, piece[i]);
  der_close(&b, seq);
  der_close(&b, tagged);
  der_close(&b, tbs);
  assert_true(rc_ok(buf_rc(&b)));
  return buf_slice(&b);
}

/* ---- pieces that need more than a literal ---- */

/* subjectAltName with one name of that kind. */
static slice_t san(name_kind_t kind, slice_t bytes)
{
  buf_t b = buf_on(arena, 2048);
  size_t ext = der_open(&b, DER_SEQUENCE);
  der_put_oid(&b, oid_der(OID_SUBJECT_ALT_NAME));
  size_t value = der_open(&b, DER_OCTETS), seq = der_open(&b, DER_SEQUENCE);
  der_put(&b, DER_CTX(kind), bytes);
  der_close(&b, seq);
  der_close(&b, value);
  der_close(&b, ext);
  return buf_slice(&b);
}

static slice_t dns(const char *name) { return san(NAME_DNS, slice_str(name)); }

/* n labels of `size` letters. */
static slice_t labels(size_t n, size_t size)
{
  buf_t b = buf_on(arena, 2048);
  for (size_t i = 0; i < n; i++) {
    if (i) buf_byte(&b, '.');
    for (size_t k = 0; k < size; k++) buf_byte(&b, 'x');
  }
  buf_byte(&b, 0);
  return dns((const char *)b.p);
}

static slice_t long_cn(void)
{
  buf_t b = buf_on(arena, 256);
  size_t name = der_open(&b, DER_SEQUENCE), rdn = der_open(&b, DER_SET), pair = der_open(&b, DER_SEQUENCE);
  der_put_oid(&b, oid_der(OID_CN));
  size_t text = der_open(&b, DER_UTF8);
  for (int i = 0; i < 65; i++) buf_puts(&b, "ä"); /* characters are counted, not octets */
  der_close(&b, text);
  der_close(&b, pair);
  der_close(&b, rdn);
  der_close(&b, name);
  return buf_slice(&b);
}

/* rsaEncryption with a modulus of 1024 bits. */
static slice_t short_rsa(void)
{
  uint8_t n[128];
  memset(n, 0xb5, sizeof n);
  buf_t b = buf_on(arena, 512);
  size_t spki = der_open(&b, DER_SEQUENCE);
  buf_put(&b, S("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"));
  size_t bits = der_open(&b, DER_BITS);
  buf_byte(&b, 0);
  size_t key = der_open(&b, DER_SEQUENCE);
  der_put_unsigned(&b, slice_of(n, sizeof n));
  der_put_int(&b, 65537);
  der_close(&b, key);
  der_close(&b, bits);
  der_close(&b, spki);
  return buf_slice(&b);
}

/* A point of secp256k1 by its curve identifier; whether it lies there is nobody's question here. */
static slice_t other_curve(void)
{
  buf_t b = buf_on(arena, 512);
  buf_put(&b, S("\x30\x56\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x0a\x03\x42\x00"));
  buf_put(&b, key_parts(ec).point);
  return buf_slice(&b);
}

/* ---- the cases ---- */

typedef struct breakage {
  const char *rule;
  lint_role_t role;
  change_t change[3];
  const char *also; /* a second rule that cannot be kept then */
} breakage_t;

static size_t breakages(breakage_t *out)
{
  const breakage_t v[] = {
    {"e_invalid_certificate_version", LINT_LEAF, {{P_VERSION, S("\xa0\x03\x02\x01\x01")}}, NULL},
    {"e_serial_number_not_positive", LINT_LEAF, {{P_SERIAL, S("\x02\x01\x00")}}, NULL},
    {"e_serial_number_not_positive", LINT_LEAF, {{P_SERIAL, S("\x02\x01\x80")}}, NULL},
    {"e_serial_number_longer_than_20_octets", LINT_LEAF, {{P_SERIAL, S("\x02\x15" "aaaaaaaaaaaaaaaaaaaaa")}}, NULL},
    {"e_signature_algorithm_not_supported", LINT_LEAF,
     {{P_SIGALG, S("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00")}}, NULL},
    {"e_issuer_field_empty", LINT_LEAF, {{P_ISSUER, EMPTY_NAME}}, NULL},
    {"e_validity_time_not_positive", LINT_LEAF,
     {{P_VALIDITY, S("\x30\x1e\x17\x0d" "270101000000Z" "\x17\x0d" "260101000000Z")}}, NULL},
    {"e_wrong_time_format_pre2050", LINT_LEAF,
     {{P_VALIDITY, S("\x30\x20\x17\x0d" "260101000000Z" "\x18\x0f" "20270101000000Z")}}, NULL},
    {"e_subject_common_name_max_length", LINT_LEAF, {{P_SUBJECT, long_cn()}}, NULL},
    {"e_subject_empty_without_san", LINT_LEAF, {{P_SUBJECT, EMPTY_NAME}, {X_SAN, EMPTY}, {X_EKU, EKU_CLIENT}}, NULL},
    {"e_public_key_type_not_allowed", LINT_LEAF, {{P_SPKI, other_curve()}}, NULL},
    {"e_rsa_mod_less_than_2048_bits", LINT_LEAF, {{P_SPKI, short_rsa()}}, NULL},
    {"e_ext_san_missing", LINT_LEAF, {{X_SAN, EMPTY}}, NULL},
    {"e_ext_san_not_critical_without_subject", LINT_LEAF, {{P_SUBJECT, EMPTY_NAME}}, NULL},
    {"e_ext_san_no_entries", LINT_LEAF, {{X_SAN, EXT("\x11", "\x02", "\x09", "\x30\x00")}}, NULL},
    {"e_ext_san_empty_name", LINT_LEAF, {{X_SAN, san(NAME_DNS, EMPTY)}}, NULL},
    {"e_ext_san_dns_not_ia5_string", LINT_LEAF, {{X_SAN, dns("b\xc3\xbc.example")}},
     "e_dnsname_bad_character_in_label"},
    {"e_ext_san_dns_name_too_long", LINT_LEAF, {{X_SAN, labels(4, 63)}}, NULL},
    {"e_rfc_dnsname_label_too_long", LINT_LEAF, {{X_SAN, labels(1, 64)}}, NULL},
    {"e_rfc_dnsname_empty_label", LINT_LEAF, {{X_SAN, dns("a..b")}}, NULL},
    {"e_rfc_dnsname_empty_label", LINT_LEAF, {{X_SAN, dns("a.b.")}}, NULL},
    {"e_dnsname_bad_character_in_label", LINT_LEAF, {{X_SAN, dns("a b.example")}}, NULL},
    {"e_dnsname_wildcard_only_in_left_label", LINT_LEAF, {{X_SAN, dns("a.*.example")}}, NULL},
    {"e_dnsname_left_label_wildcard_correct", LINT_LEAF, {{X_SAN, dns("a*.example")}}, NULL},
    {"e_san_bare_wildcard", LINT_LEAF, {{X_SAN, dns("*")}}, NULL},
    {"n_san_dns_name_duplicate", LINT_LEAF,
     {{X_SAN, EXT("\x11", "\x08", "\x0f", "\x30\x06\x82\x01" "b" "\x82\x01" "B")}}, NULL},
    {"e_ext_san_rfc822_format_invalid", LINT_LEAF, {{X_SAN, san(NAME_EMAIL, S("example.com"))}}, NULL},
    {"e_ext_san_rfc822_format_invalid", LINT_LEAF, {{X_SAN, san(NAME_EMAIL, S("a@b@c"))}}, NULL},
    {"e_ext_san_uri_relative", LINT_LEAF, {{X_SAN, san(NAME_URI, S("/path"))}}, NULL},
    {"e_ext_key_usage_without_bits", LINT_LEAF, {{X_KU, EXT_CRITICAL("\x0f", "\x03", "\x0d", "\x03\x01\x00")}}, NULL},
    {"w_ext_key_usage_not_critical", LINT_LEAF, {{X_KU, EXT("\x0f", "\x04", "\x0b", "\x03\x02\x07\x80")}}, NULL},
    {"w_ext_key_usage_not_critical", LINT_LEAF, {{X_KU, EMPTY}}, NULL},
    {"e_ext_key_usage_cert_sign_without_ca", LINT_LEAF,
     {{X_KU, EXT_CRITICAL("\x0f", "\x04", "\x0e", "\x03\x02\x02\x84")}}, NULL},
    {"e_ecdsa_allowed_ku", LINT_LEAF, {{X_KU, EXT_CRITICAL("\x0f", "\x04", "\x0e", "\x03\x02\x05\xa0")}}, NULL},
    {"e_rsa_allowed_ku_ee", LINT_LEAF,
     {{P_SPKI, key_spki(rsa)}, {X_KU, EXT_CRITICAL("\x0f", "\x04", "\x0e", "\x03\x02\x03\x88")}}, NULL},
    {"e_sub_cert_eku_missing", LINT_LEAF, {{X_EKU, EMPTY}}, NULL},
    {"e_sub_cert_not_is_ca", LINT_LEAF, {{X_BASIC, BASIC_CA}}, NULL},
    {"e_path_len_constraint_improperly_included", LINT_LEAF,
     {{X_BASIC, EXT_CRITICAL("\x13", "\x05", "\x0f", "\x30\x03\x02\x01\x00")}}, NULL},
    {"e_basic_constraints_not_critical", LINT_CA,
     {{X_BASIC, EXT("\x13", "\x05", "\x0c", "\x30\x03\x01\x01\xff")}}, NULL},
    {"e_ca_is_ca", LINT_CA, {{X_BASIC, EMPTY}}, "e_ext_key_usage_cert_sign_without_ca"},
    {"e_ca_key_cert_sign_not_set", LINT_CA, {{X_KU, EXT_CRITICAL("\x0f", "\x04", "\x0e", "\x03\x02\x01\x02")}}, NULL},
    {"e_ext_subject_key_identifier_missing_ca", LINT_CA, {{X_SKI, EMPTY}}, NULL},
    {"w_ext_subject_key_identifier_missing_sub_cert", LINT_LEAF, {{X_SKI, EMPTY}}, NULL},
    {"e_ext_subject_key_identifier_critical", LINT_LEAF,
     {{X_SKI, EXT_CRITICAL("\x0e", "\x16", "\x20", "\x04\x14" ID20)}}, NULL},
    {"e_ext_authority_key_identifier_no_key_identifier", LINT_LEAF, {{X_AKI, EMPTY}}, NULL},
    {"e_ext_authority_key_identifier_no_key_identifier", LINT_LEAF,
     {{X_AKI, EXT("\x23", "\x02", "\x09", "\x30\x00")}}, NULL},
    {"e_ext_authority_key_identifier_critical", LINT_LEAF,
     {{X_AKI, EXT_CRITICAL("\x23", "\x18", "\x22", "\x30\x16\x80\x14" ID20)}}, NULL},
  };
  memcpy(out, v, sizeof v);
  return COUNT_OF(v);
}

static int setup(void **state)
{
  arena = arena_new(256 * 1024 * 1024);
  return rc_ok(key_generate(KEY_P256, 0, &ec, NULL)) && rc_ok(key_generate(KEY_RSA, 2048, &rsa, NULL)) ? 0 : -1;
}

static int teardown(void **state)
{
  key_free(ec);
  key_free(rsa);
  arena_free(arena);
  return 0;
}

static void sound_ones_pass(void **state)
{
  cert_t c;
  err_t e = {0};
  assert_true(rc_ok(lint_tbs(arena, tbs_make(LINT_LEAF, NULL, 0), LINT_LEAF, &c, &e)));
  assert_true(rc_ok(lint_tbs(arena, tbs_make(LINT_CA, NULL, 0), LINT_CA, &c, &e)));
  change_t with_rsa = {P_SPKI, key_spki(rsa)};
  assert_true(rc_ok(lint_tbs(arena, tbs_make(LINT_LEAF, &with_rsa, 1), LINT_LEAF, &c, &e)));
  assert_false(rc_ok(lint_tbs(arena, tbs_make(LINT_LEAF, NULL, 0), LINT_CA, &c, &e)));
  assert_false(rc_ok(lint_tbs(arena, tbs_make(LINT_CA, NULL, 0), LINT_LEAF, &c, &e)));
}

/* The edges of what the character rules allow. */
static void edges_pass(void **state)
{
  static const struct {
    name_kind_t kind;
    const char *bytes;
  } v[] = {
    {NAME_DNS, "azAZ09-_.example"},
    {NAME_DNS, "*.a"},
    {NAME_EMAIL, "azAZ09!#$%&'*+-/=?^_`{|}~.x@azAZ-09.example"},
    {NAME_URI, "aZ09+-.:x"},
    {NAME_URI, "Zz:x"},
    {NAME_URI, "zA://example.com/"},
  };
  cert_t c;
  err_t e = {0};
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    change_t change = {X_SAN, san(v[i].kind, slice_str(v[i].bytes))};
    rc_t r = lint_tbs(arena, tbs_make(LINT_LEAF, &change, 1), LINT_LEAF, &c, &e);
    if (!rc_ok(r)) fail_msg("%s: %s", v[i].bytes, e.reason);
  }
  change_t longest[] = {{X_SAN, labels(1, 63)}, {X_SAN, labels(127, 1)}}; /* a label; a name, of 253 octets */
  for (size_t i = 0; i < COUNT_OF(longest); i++)
    assert_true(rc_ok(lint_tbs(arena, tbs_make(LINT_LEAF, &longest[i], 1), LINT_LEAF, &c, &e)));
}

/* The first characters outside. */
static void beyond_the_edges(void **state)
{
  static const struct {
    name_kind_t kind;
    const char *bytes, *rule;
  } v[] = {
    {NAME_DNS, "a@b", "e_dnsname_bad_character_in_label"},   {NAME_DNS, "a[b", "e_dnsname_bad_character_in_label"},
    {NAME_DNS, "a`b", "e_dnsname_bad_character_in_label"},   {NAME_DNS, "a{b", "e_dnsname_bad_character_in_label"},
    {NAME_DNS, "a\x7f" "b", "e_dnsname_bad_character_in_label"},
    {NAME_DNS, "a/b", "e_dnsname_bad_character_in_label"},   {NAME_DNS, "a:b", "e_dnsname_bad_character_in_label"},
    {NAME_EMAIL, "a@b_c", "e_ext_san_rfc822_format_invalid"}, {NAME_EMAIL, "(a@b", "e_ext_san_rfc822_format_invalid"},
    {NAME_EMAIL, "a@", "e_ext_san_rfc822_format_invalid"},   {NAME_EMAIL, "@b", "e_ext_san_rfc822_format_invalid"},
    {NAME_EMAIL, "a b@c", "e_ext_san_rfc822_format_invalid"}, {NAME_EMAIL, "a@b(c)", "e_ext_san_rfc822_format_invalid"},
    {NAME_URI, "1a:x", "e_ext_san_uri_relative"},            {NAME_URI, ":x", "e_ext_san_uri_relative"},
    {NAME_URI, "a:", "e_ext_san_uri_relative"},              {NAME_URI, "a_b:x", "e_ext_san_uri_relative"},
  };
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    change_t change = {X_SAN, san(v[i].kind, slice_str(v[i].bytes))};
    cert_t c;
    err_t e = {0};
    assert_false(rc_ok(lint_tbs(arena, tbs_make(LINT_LEAF, &change, 1), LINT_LEAF, &c, &e)));
    if (strcmp(e.reason, v[i].rule) != 0) fail_msg("%s is refused as %s", v[i].bytes, e.reason);
  }
}

static void each_rule_alone(void **state)
{
  breakage_t v[64];
  size_t n = breakages(v), nrules;
  const lint_rule_t *rules = lint_rules(&nrules);
  bool seen[64] = {false};
  assert_true(n <= 64 && nrules <= 64);
  for (size_t i = 0; i < n; i++) {
    slice_t tbs = tbs_make(v[i].role, v[i].change, 3);
    cert_t c, none = {.version = -9};
    err_t e = {0};
    rc_t r = cert_parse_tbs(arena, tbs, &c, &e);
    if (!rc_ok(r)) fail_msg("%s: not read: %s", v[i].rule, e.reason);
    size_t broken = 0;
    for (size_t k = 0; k < nrules; k++) {
      if (!(rules[k].roles & v[i].role) || !rules[k].broken(&c)) continue;
      bool wanted = strcmp(rules[k].name, v[i].rule) == 0;
      seen[k] |= wanted;
      broken += wanted;
      if (!wanted && !(v[i].also && strcmp(rules[k].name, v[i].also) == 0))
        fail_msg("%s breaks %s too", v[i].rule, rules[k].name);
    }
    if (broken != 1) fail_msg("%s is not noticed", v[i].rule);
    assert_true(rc_is(lint_tbs(arena, tbs, v[i].role, &none, &e), RC_INVALID));
    if (strcmp(e.reason, v[i].rule) != 0 && !(v[i].also && strcmp(e.reason, v[i].also) == 0))
      fail_msg("%s is refused as %s", v[i].rule, e.reason);
    assert_int_equal(none.version, -9);
  }
  for (size_t k = 0; k < nrules; k++)
    if (!seen[k]) fail_msg("no case breaks %s", rules[k].name);
}

/* What the reader finds or refuses is refused here too, by its own name. */
static void findings_and_refusals(void **state)
{
  const struct {
    change_t change;
    const char *reason;
  } v[] = {
    {{X_KU, EXT_CRITICAL("\x0f", "\x04", "\x0e", "\x03\x02\x00\x80")}, "e_incorrect_ku_encoding"}, /* zero bits */
    {{X_SAN, san(NAME_IP, S("\x01\x02\x03"))}, "cert_san_ip_length"},
    {{X_BASIC, SKI}, "ext_duplicate"},
    {{P_SERIAL, S("\x02\x02\x00\x05")}, "der_integer_not_minimal"},
  };
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    cert_t c;
    err_t e = {0};
    rc_t r = lint_tbs(arena, tbs_make(LINT_LEAF, &v[i].change, 1), LINT_LEAF, &c, &e);
    assert_false(rc_ok(r));
    if (strcmp(e.reason, v[i].reason) != 0) fail_msg("%s is refused as %s", v[i].reason, e.reason);
  }
}

/* ---- against the shared data ---- */

static FILE *shared(const char *name)
{
  char path[512];
  const char *root = getenv("CERTCTL_SOURCE_ROOT");
  (void)snprintf(path, sizeof path, "%s/../shared/data/%s", root ? root : ".", name);
  FILE *f = fopen(path, "r");
  if (!f) print_message("shared data %s is not here: nothing compared\n", name);
  return f;
}

static json_t *next_line(FILE *f)
{
  static char line[256 * 1024];
  return fgets(line, sizeof line, f) ? json_loads(line, 0, NULL) : NULL;
}

static void names_are_those_of_zlint(void **state)
{
  size_t n, found = 0;
  const lint_rule_t *rules = lint_rules(&n);
  FILE *f = shared("lints.jsonl");
  if (!f) skip();
  for (json_t *j; (j = next_line(f)); json_decref(j)) {
    const char *name = json_string_value(json_object_get(j, "name"));
    for (size_t i = 0; i < n; i++) found += strcmp(rules[i].name, name) == 0;
  }
  (void)fclose(f);
  assert_int_equal(found, n);
}

typedef struct tally {
  unsigned same_pass, same_fault, only_ours, only_theirs;
} tally_t;

static bool listed(const json_t *lint, const char *class, const char *name)
{
  size_t i;
  json_t *v;
  json_array_foreach(json_object_get(lint, class), i, v) if (strcmp(json_string_value(v), name) == 0) return true;
  return false;
}

/* An extension that cannot be read is refused as such here and not looked at further; zlint reads on. */
static bool unread(const cert_t *c, const char *rule)
{
  static const struct {
    const char *finding, *rule;
  } v[] = {{"e_incorrect_ku_encoding", "e_ext_key_usage_without_bits"},
           {"e_incorrect_ku_encoding", "e_ext_key_usage_cert_sign_without_ca"},
           {"e_incorrect_ku_encoding", "e_ecdsa_allowed_ku"},
           {"e_incorrect_ku_encoding", "e_rsa_allowed_ku_ee"},
           {"e_incorrect_ku_encoding", "e_ca_key_cert_sign_not_set"},
           {"e_incorrect_ku_encoding", "e_path_len_constraint_improperly_included"},
           {"e_basic_constr_invalid_der", "e_path_len_constraint_improperly_included"}};
  for (size_t i = 0; i < COUNT_OF(v); i++)
    if (strcmp(v[i].rule, rule) == 0 && cert_finding(c, v[i].finding)) return true;
  return false;
}

static void compare(const cert_t *c, const json_t *lint, tally_t *t)
{
  size_t n;
  const lint_rule_t *rules = lint_rules(&n);
  for (size_t i = 0; i < n; i++) {
    bool pass = listed(lint, "pass", rules[i].name);
    bool fault = listed(lint, "error", rules[i].name) || listed(lint, "warn", rules[i].name) ||
                 listed(lint, "info", rules[i].name);
    if ((!pass && !fault) || unread(c, rules[i].name)) continue; /* neither: not applicable, or not at its date */
    bool ours = rules[i].broken(c);
    t[i].same_pass += pass && !ours;
    t[i].same_fault += fault && ours;
    t[i].only_ours += pass && ours;
    t[i].only_theirs += fault && !ours;
  }
}

/* Where ours differs on purpose. */
static const struct {
  const char *rule;
  bool wider, narrower;
} differs[] = {
  {"e_signature_algorithm_not_supported", true, false},              /* supported is what we issue: no SHA-1, no PSS */
  {"e_public_key_type_not_allowed", true, false},                    /* the same for keys: no P-521 */
  {"e_ext_authority_key_identifier_no_key_identifier", true, false}, /* zlint excepts roots, here the role does */
  {"e_ext_san_missing", false, true},                                /* here for servers only */
  {"e_dnsname_bad_character_in_label", false, true},                 /* zlint looks at the common name too */
};

static void verdicts_agree_with_zlint(void **state)
{
  static tally_t t[64];
  size_t n, read = 0, same = 0, all = 0;
  const lint_rule_t *rules = lint_rules(&n);
  FILE *f = shared("certificates.jsonl");
  if (!f) skip();
  for (json_t *j; (j = next_line(f)); json_decref(j)) {
    static uint8_t der[LIM_CERT_DER];
    size_t der_n = 0;
    cert_t c;
    const char *b64 = json_string_value(json_object_get(j, "der"));
    arena_reset(arena);
    if (!json_is_object(json_object_get(j, "lint"))) continue;
    if (!rc_ok(base64_decode(BASE64_STD, slice_str(b64), der, sizeof der, &der_n))) continue;
    if (!rc_ok(cert_parse(arena, slice_of(der, der_n), &c, NULL))) continue;
    read++;
    compare(&c, json_object_get(j, "lint"), t);
  }
  (void)fclose(f);
  print_message("%zu certificates; verdicts alike (pass, fault), ours only, zlint only\n", read);
  for (size_t i = 0; i < n; i++) {
    print_message("%5u %4u %4u %4u  %s\n", t[i].same_pass, t[i].same_fault, t[i].only_ours, t[i].only_theirs,
                  rules[i].name);
    same += t[i].same_pass + t[i].same_fault;
    all += t[i].same_pass + t[i].same_fault + t[i].only_ours + t[i].only_theirs;
    bool wider = false, narrower = false;
    for (size_t k = 0; k < COUNT_OF(differs); k++) {
      if (strcmp(differs[k].rule, rules[i].name) != 0) continue;
      wider = differs[k].wider;
      narrower = differs[k].narrower;
    }
    assert_true(t[i].only_ours == 0 || wider);
    assert_true(t[i].only_theirs == 0 || narrower);
  }
  print_message("%zu of %zu verdicts alike\n", same, all);
  assert_true(read > 500);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(sound_ones_pass),           cmocka_unit_test(each_rule_alone),
    cmocka_unit_test(edges_pass),                cmocka_unit_test(beyond_the_edges),
    cmocka_unit_test(findings_and_refusals),     cmocka_unit_test(names_are_those_of_zlint),
    cmocka_unit_test(verdicts_agree_with_zlint),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}

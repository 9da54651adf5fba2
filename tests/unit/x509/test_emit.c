/* Emitted certificates: the library reads them, its path validation accepts them, our lint passes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "x509/emit.h"
#include "x509/lint.h"

/* After ours: the library has macros of the names of our key usage bits, with other values. */
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#undef KU_DIGITAL_SIGNATURE
#undef KU_KEY_ENCIPHERMENT
#undef KU_CRL_SIGN

#define NOW ((us_t){INT64_C(1795572000) * US_PER_S}) /* 2026-11-25 */

static uint64_t seed = 7;
static rng_t rng;
static arena_t *arena;

/* A CA of one kind of key, with everything a leaf needs of it. */
typedef struct ca {
  sigkey_t *key;
  buf_t der;
  cert_t cert;
  leaf_issuer_t issuer;
  X509 *x;
} ca_t;

enum { CAS = 4 };
static ca_t cas[CAS];
static sigkey_t *leaf_keys[CAS];
static const key_kind_t kinds[CAS] = {KEY_P256, KEY_P384, KEY_RSA, KEY_ED25519};

static X509 *library_reads(slice_t der)
{
  const uint8_t *p = der.p;
  X509 *x = d2i_X509(NULL, &p, (long)der.n);
  assert_non_null(x);
  assert_ptr_equal(p, der.p + der.n);
  /* The same bytes come out when the library encodes anew, so they are DER to it. */
  uint8_t *again = NULL;
  int n = i2d_re_X509_tbs(x, &again);
  cert_t c;
  assert_true(rc_ok(cert_parse(arena, der, &c, NULL)));
  assert_true(n > 0 && slice_eq(c.tbs, slice_of(again, (size_t)n)));
  OPENSSL_free(again);
  return x;
}

static void ca_make(ca_t *ca, key_kind_t kind)
{
  uint8_t serial[EMIT_SERIAL];
  buf_t tbs = buf_heap(LIM_CERT_DER);
  err_t e = {0};
  assert_true(rc_ok(key_generate(kind, 2048, &ca->key, NULL)));
  emit_serial(&rng, serial);
  ca_spec_t spec = {.serial = slice_of(serial, sizeof serial),
                    .not_before = us_add_s(NOW, -300),
                    .not_after = us_add_s(NOW, 3652 * INT64_C(86400)),
                    .common_name = S("CertCtl Local CA"),
                    .path_len = 0};
  assert_true(rc_ok(ca_tbs_emit(&spec, ca->key, &tbs, &e)));
  assert_true(rc_ok(lint_tbs(arena, buf_slice(&tbs), LINT_CA, &ca->cert, &e)));
  ca->der = buf_heap(LIM_CERT_DER);
  assert_true(rc_ok(cert_sign(buf_slice(&tbs), ca->key, &ca->der)));
  buf_fini(&tbs);
  assert_true(rc_ok(cert_parse(arena, buf_slice(&ca->der), &ca->cert, &e)));
  ca->issuer = (leaf_issuer_t){.dn = ca->cert.subject.raw, .key_id = ca->cert.ski, .sigalg = key_sigalg(ca->key)};
  ca->x = library_reads(buf_slice(&ca->der));
}

static int setup(void **state)
{
  rng = rng_seeded(&seed);
  arena = arena_new(64 * 1024 * 1024);
  for (size_t i = 0; i < CAS; i++) {
    ca_make(&cas[i], kinds[i]);
    if (!rc_ok(key_generate(kinds[i], 2048, &leaf_keys[i], NULL))) return -1;
  }
  return 0;
}

static int teardown(void **state)
{
  for (size_t i = 0; i < CAS; i++) {
    X509_free(cas[i].x);
    key_free(cas[i].key);
    key_free(leaf_keys[i]);
    buf_fini(&cas[i].der);
  }
  arena_free(arena);
  return 0;
}

static names_t names(const char *const *texts, size_t n)
{
  slice_t s[LIM_CERT_NAMES + 1];
  names_t ret = {NULL, 0};
  for (size_t i = 0; i < n; i++) s[i] = slice_str(texts[i]);
  assert_true(rc_ok(names_parse_all(arena, s, n, "sans", &ret, NULL)));
  return ret;
}

static leaf_spec_t spec_of(const ca_t *ca, const sigkey_t *key)
{
  static uint8_t serial[EMIT_SERIAL];
  emit_serial(&rng, serial);
  return (leaf_spec_t){.issuer = &ca->issuer,
                       .serial = slice_of(serial, sizeof serial),
                       .not_before = us_add_s(NOW, -300),
                       .not_after = us_add_s(NOW, 90 * 86400),
                       .common_name = S("www.example.com"),
                       .spki = key_spki(key),
                       .key_kind = key_kind(key)};
}

/* Emits, lints, signs, wraps and reads back; the buffer is the caller's. */
static X509 *leaf(const leaf_spec_t *spec, const ca_t *ca, buf_t *der)
{
  buf_t tbs = buf_heap(LIM_CERT_DER);
  cert_t c;
  err_t e = {0};
  rc_t r = leaf_tbs_emit(spec, &tbs, &e);
  if (!rc_ok(r)) fail_msg("emit: %s", e.reason);
  r = lint_tbs(arena, buf_slice(&tbs), LINT_LEAF, &c, &e);
  if (!rc_ok(r)) fail_msg("lint: %s", e.reason);
  assert_int_equal(c.nfindings, 0);
  *der = buf_heap(LIM_CERT_DER);
  assert_true(rc_ok(cert_sign(buf_slice(&tbs), ca->key, der)));
  buf_fini(&tbs);
  return library_reads(buf_slice(der));
}

/* Path validation of the library, with the strict checks of RFC 5280 switched on. */
static int library_verifies(X509 *x, const ca_t *ca, int purpose, const char *host)
{
  X509_STORE *store = X509_STORE_new();
  X509_STORE_CTX *c = X509_STORE_CTX_new();
  assert_int_equal(X509_STORE_add_cert(store, ca->x), 1);
  assert_int_equal(X509_STORE_CTX_init(c, store, x, NULL), 1);
  X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(c);
  X509_VERIFY_PARAM_set_time(p, (time_t)(NOW.us / US_PER_S));
  X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
  assert_int_equal(X509_VERIFY_PARAM_set_purpose(p, purpose), 1);
  if (host) assert_int_equal(X509_VERIFY_PARAM_set1_host(p, host, 0), 1);
  int ok = X509_verify_cert(c) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(c);
  X509_STORE_CTX_free(c);
  X509_STORE_free(store);
  return ok;
}

static void each_key_under_each_ca(void **state)
{
  static const char *const texts[] = {"www.example.com", "*.example.org", "192.0.2.7", "2001:db8::1", "a@example.com",
                                      "spiffe://example.org/ns/x"};
  for (size_t i = 0; i < CAS; i++) {
    for (size_t k = 0; k < CAS; k++) {
      leaf_spec_t s = spec_of(&cas[i], leaf_keys[k]);
      s.names = names(texts, COUNT_OF(texts));
      buf_t der;
      X509 *x = leaf(&s, &cas[i], &der);
      assert_int_equal(library_verifies(x, &cas[i], X509_PURPOSE_SSL_SERVER, "host.example.org"), X509_V_OK);
      assert_int_equal(library_verifies(x, &cas[i], X509_PURPOSE_SSL_CLIENT, NULL), X509_V_OK);
      assert_int_equal(X509_check_host(x, "www.example.com", 0, 0, NULL), 1);
      assert_int_equal(X509_check_ip_asc(x, "2001:db8:0::1", 0), 1);
      assert_int_equal(X509_check_email(x, "a@example.com", 0, 0), 1);
      assert_int_equal(X509_check_host(x, "www.example.net", 0, 0, NULL), 0);
      assert_int_equal(X509_get_key_usage(x), kinds[k] == KEY_RSA ? 0xa0 : 0x80); /* counts from bit 7 */
      X509_free(x);
      buf_fini(&der);
    }
  }
}

static void fields_are_those_of_the_spec(void **state)
{
  static const char *const texts[] = {"b.example.com", "a.example.com", "192.0.2.7"};
  leaf_spec_t s = spec_of(&cas[0], leaf_keys[0]);
  s.names = names(texts, COUNT_OF(texts));
  buf_t der;
  cert_t c;
  X509 *x = leaf(&s, &cas[0], &der);
  assert_int_equal(X509_get_version(x), 2);
  assert_true(rc_ok(cert_parse(arena, buf_slice(&der), &c, NULL)));
  assert_true(slice_eq(c.serial, s.serial));
  assert_true(slice_eq(c.issuer.raw, cas[0].cert.subject.raw));
  assert_true(slice_eq(c.subject.cn, S("www.example.com")) && c.subject.n == 1);
  assert_int_equal(c.not_before.us, s.not_before.us);
  assert_int_equal(c.not_after.us, s.not_after.us);
  assert_true(slice_eq(c.spki.raw, s.spki));
  assert_true(slice_eq(c.aki, cas[0].cert.ski));
  assert_int_equal(c.ski.n, EMIT_KEY_ID);
  assert_int_equal(c.sans.n, 3); /* in the order given */
  for (size_t i = 0; i < 3; i++) assert_true(name_eq(&c.sans.v[i], &s.names.v[i]));
  assert_false(c.san_critical);
  assert_null(exts_find(c.exts, OID_BASIC_CONSTRAINTS));
  assert_false(c.must_staple);
  assert_int_equal(c.exts.n, 5); /* keyUsage, extKeyUsage, identifiers, names; nothing else unless asked for */
  assert_int_equal(c.nekus, 2);
  assert_int_equal(c.key_usage, KU_DIGITAL_SIGNATURE);
  X509_free(x);
  buf_fini(&der);
}

static void ca_fields(void **state)
{
  for (size_t i = 0; i < CAS; i++) {
    const cert_t *c = &cas[i].cert;
    uint8_t id[EMIT_KEY_ID];
    assert_true(rc_ok(emit_key_id(key_spki(cas[i].key), id, NULL)));
    assert_true(slice_eq(c->ski, slice_of(id, sizeof id)));
    assert_true(c->is_ca && c->path_len == 0);
    assert_int_equal(c->key_usage, KU_CERT_SIGN | KU_CRL_SIGN);
    assert_true(slice_eq(c->issuer.raw, c->subject.raw));
    assert_int_equal(X509_check_ca(cas[i].x), 1);
    assert_int_equal(library_verifies(cas[i].x, &cas[i], X509_PURPOSE_ANY, NULL), X509_V_OK);
  }
}

/* RFC 7093 2 method 1 by the library's digest. */
static void key_identifier(void **state)
{
  for (size_t i = 0; i < CAS; i++) {
    uint8_t id[EMIT_KEY_ID], want[EVP_MAX_MD_SIZE];
    ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(cas[i].x);
    unsigned n = 0;
    assert_true(rc_ok(emit_key_id(key_spki(cas[i].key), id, NULL)));
    assert_int_equal(EVP_Digest(bits->data, (size_t)bits->length, want, &n, EVP_sha256(), NULL), 1);
    assert_memory_equal(id, want, sizeof id);
  }
  uint8_t id[EMIT_KEY_ID];
  err_t e = {0};
  assert_true(rc_is(emit_key_id(S("\x30\x03\x02\x01\x05"), id, &e), RC_SYNTAX));
}

static texts_t texts(const slice_t *v, size_t n) { return (texts_t){v, n}; }

static void usages(void **state)
{
  static const char *const name[] = {"www.example.com"};
  const slice_t all[] = {S("clientAuth"), S("codeSigning"), S("emailProtection"), S("ocspSigning"), S("machineEAP"),
                         S("ipsecIKE"), S("anyExtendedKeyUsage"), S("kerberosClientAuth"), S("kerberosKeyDistribution"),
                         S("smartCardLogon"), S("documentSigning"), S("encryptingFileSystem"), S("keyRecoveryAgent"),
                         S("serverAuth"), S("clientAuth")};
  const slice_t code[] = {S("codeSigning")}, stamp[] = {S("timeStamping")};
  const slice_t mixed[] = {S("timeStamping"), S("serverAuth")};
  const slice_t bad[] = {S("serverauth")}, ocsp[] = {S("ocspSigning"), S("ocspNoCheck")}, lone[] = {S("ocspNoCheck")};
  const struct {
    texts_t ekus;
    size_t count;
    uint32_t usage; /* for an RSA key */
    bool critical;
    size_t exts;
    const char *reason;
  } v[] = {
    {texts(all, COUNT_OF(all)), COUNT_OF(all) - 1,
     KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_CONTENT_COMMITMENT, false, 5, NULL},
    {texts(code, 1), 1, KU_DIGITAL_SIGNATURE, false, 5, NULL},
    {texts(stamp, 1), 1, KU_DIGITAL_SIGNATURE, true, 5, NULL},
    {texts(ocsp, 2), 1, KU_DIGITAL_SIGNATURE, false, 6, NULL},
    {texts(mixed, 2), 0, 0, false, 0, "eku_alone"},
    {texts(bad, 1), 0, 0, false, 0, "eku_unknown"},
    {texts(lone, 1), 0, 0, false, 0, "eku_missing"},
  };
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    leaf_spec_t s = spec_of(&cas[0], leaf_keys[2]);
    s.names = names(name, 1);
    s.ekus = v[i].ekus;
    if (v[i].reason) {
      buf_t tbs = buf_heap(LIM_CERT_DER);
      err_t e = {0};
      assert_true(rc_is(leaf_tbs_emit(&s, &tbs, &e), RC_INVALID));
      assert_string_equal(e.reason, v[i].reason);
      buf_fini(&tbs);
      continue;
    }
    buf_t der;
    cert_t c;
    X509 *x = leaf(&s, &cas[0], &der);
    assert_true(rc_ok(cert_parse(arena, buf_slice(&der), &c, NULL)));
    assert_int_equal(c.nekus, v[i].count);
    assert_int_equal(c.key_usage, v[i].usage);
    assert_int_equal(exts_find(c.exts, OID_EXT_KEY_USAGE)->critical, v[i].critical);
    assert_true(exts_find(c.exts, OID_KEY_USAGE)->critical);
    assert_int_equal(c.exts.n, v[i].exts);
    if (v[i].critical) assert_int_equal(library_verifies(x, &cas[0], X509_PURPOSE_TIMESTAMP_SIGN, NULL), X509_V_OK);
    X509_free(x);
    buf_fini(&der);
  }
}

/* A common name of 64 characters is kept; one of 65 leaves the subject empty and subjectAltName critical. */
static void common_names(void **state)
{
  static const char *const name[] = {"www.example.com"};
  static const struct {
    const char *cn;
    bool kept;
  } v[] = {{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
           {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
           {"ääääääääääääääää" "ääääääääääääääää" "ääääääääääääääää" "ääääääääääääääää", true},
           {"", false}};
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    leaf_spec_t s = spec_of(&cas[0], leaf_keys[0]);
    s.common_name = slice_str(v[i].cn);
    s.names = names(name, 1);
    buf_t der;
    cert_t c;
    X509 *x = leaf(&s, &cas[0], &der);
    assert_true(rc_ok(cert_parse(arena, buf_slice(&der), &c, NULL)));
    assert_int_equal(c.subject.n, v[i].kept);
    assert_int_equal(c.san_critical, !v[i].kept);
    if (v[i].kept) assert_true(slice_is(c.subject.cn, v[i].cn));
    assert_int_equal(library_verifies(x, &cas[0], X509_PURPOSE_SSL_SERVER, "www.example.com"), X509_V_OK);
    X509_free(x);
    buf_fini(&der);
  }
}

static void must_staple(void **state)
{
  static const char *const name[] = {"www.example.com"};
  ca_t ca = cas[0];
  leaf_spec_t s = spec_of(&ca, leaf_keys[0]);
  s.names = names(name, 1);
  s.must_staple = true;
  buf_t der;
  cert_t c;
  X509 *x = leaf(&s, &ca, &der);
  assert_true(rc_ok(cert_parse(arena, buf_slice(&der), &c, NULL)));
  assert_true(c.must_staple);
  TLS_FEATURE *features = X509_get_ext_d2i(x, NID_tlsfeature, NULL, NULL);
  assert_non_null(features);
  assert_int_equal(ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, 0)), 5);
  TLS_FEATURE_free(features);
  assert_int_equal(library_verifies(x, &ca, X509_PURPOSE_SSL_SERVER, NULL), X509_V_OK);
  X509_free(x);
  buf_fini(&der);
}

/* 100 names of 250 octets: lengths of three octets, and the largest certificate that is issued. */
static void many_long_names(void **state)
{
  char text[LIM_CERT_NAMES][256];
  const char *p[LIM_CERT_NAMES];
  for (size_t i = 0; i < LIM_CERT_NAMES; i++) {
    int n = snprintf(text[i], sizeof text[i], "n%03zu", i);
    for (int label = 0; label < 4; label++)
      n += snprintf(text[i] + n, sizeof text[i] - (size_t)n, ".%0*d%s", label < 3 ? 60 : 57, label, "x");
    p[i] = text[i];
  }
  leaf_spec_t s = spec_of(&cas[2], leaf_keys[2]);
  s.names = names(p, LIM_CERT_NAMES);
  buf_t der;
  X509 *x = leaf(&s, &cas[2], &der);
  assert_true(der.n > 24000);
  assert_int_equal(X509_check_host(x, text[99], 0, 0, NULL), 1);
  X509_free(x);
  buf_fini(&der);
}

/* 600 specs drawn from everything a profile and a row can ask for: leaf() demands that our lint passes each. */
static void whatever_is_emitted_passes_lint(void **state)
{
  static const char *const name[] = {"intranet", "www.example.com", "*.example.org", "xn--bcher-kva.example",
                                     "192.0.2.7", "2001:db8::1", "a.b+c@example.com", "https://example.com/x?y=1#z", "urn:uuid:x"};
  const slice_t eku[] = {S("serverAuth"), S("clientAuth"), S("codeSigning"), S("emailProtection"), S("ocspSigning"),
                         S("ocspNoCheck"), S("smartCardLogon"), S("anyExtendedKeyUsage")};
  for (int i = 0; i < 600; i++) {
    size_t which = rng_below(&rng, CAS), n = 1 + rng_below(&rng, COUNT_OF(name));
    ca_t ca = cas[which];
    leaf_spec_t s = spec_of(&ca, leaf_keys[rng_below(&rng, CAS)]);
    s.names = names(name + rng_below(&rng, COUNT_OF(name) - n + 1), n);
    s.ekus = texts(eku, rng_below(&rng, COUNT_OF(eku) + 1));
    s.must_staple = rng_below(&rng, 2);
    s.not_after = us_add_s(s.not_before, (int64_t)rng_below(&rng, INT64_C(60) * 365 * 86400)); /* past 2050 too */
    if (rng_below(&rng, 3) == 0) s.common_name = (slice_t){NULL, 0};
    buf_t der;
    X509_free(leaf(&s, &ca, &der));
    buf_fini(&der);
  }
}

static void emission_refuses(const leaf_spec_t *s, size_t cap, int32_t code, const char *reason)
{
  buf_t tbs = buf_heap(cap);
  err_t e = {0};
  rc_t r = leaf_tbs_emit(s, &tbs, &e);
  assert_int_equal(r.code, code);
  assert_string_equal(e.reason, reason);
  buf_fini(&tbs);
}

static void bad_specs(void **state)
{
  static const char *const name[] = {"www.example.com"};
  leaf_spec_t good = spec_of(&cas[0], leaf_keys[0]), s = good;
  good.names = names(name, 1);
  uint8_t serial[21];

  memset(serial, 0x80, sizeof serial);
  s = good;
  s.serial = slice_of(serial, EMIT_SERIAL);
  emission_refuses(&s, LIM_CERT_DER, RC_INVALID, "serial");
  serial[0] = 0;
  emission_refuses(&s, LIM_CERT_DER, RC_INVALID, "serial");
  serial[0] = 1;
  s.serial.n = 21;
  emission_refuses(&s, LIM_CERT_DER, RC_INVALID, "serial");
  s.serial.n = 19;
  emission_refuses(&s, LIM_CERT_DER, RC_INVALID, "serial");

  s = good;
  s.not_after = us_add_s(s.not_before, -1);
  emission_refuses(&s, LIM_CERT_DER, RC_INVALID, "validity");
  s = good;
  s.common_name = S("a\nb");
  emission_refuses(&s, LIM_CERT_DER, RC_INVALID, "common_name");
  s.common_name = S("a\xff");
  emission_refuses(&s, LIM_CERT_DER, RC_INVALID, "common_name");
  s = good;
  s.names = (names_t){NULL, 0};
  s.common_name = (slice_t){NULL, 0};
  emission_refuses(&s, LIM_CERT_DER, RC_INVALID, "names_missing");
  s = good;
  s.names = (names_t){&(name_t){.kind = NAME_DIRECTORY, .bytes = S("\x30\x00")}, 1};
  emission_refuses(&s, LIM_CERT_DER, RC_INVALID, "name_kind");
  name_t many[LIM_CERT_NAMES + 1];
  for (size_t i = 0; i < COUNT_OF(many); i++) many[i] = good.names.v[0];
  s.names = (names_t){many, COUNT_OF(many)};
  emission_refuses(&s, LIM_CERT_DER, RC_FULL, "name_count");
  emission_refuses(&good, 200, RC_FULL, "certificate_size");

  ca_spec_t ca = {.serial = good.serial, .not_before = NOW, .not_after = us_add_s(NOW, 1), .path_len = -1};
  buf_t tbs = buf_heap(LIM_CERT_DER);
  err_t e = {0};
  assert_true(rc_is(ca_tbs_emit(&ca, cas[0].key, &tbs, &e), RC_INVALID));
  assert_string_equal(e.reason, "common_name");
  buf_fini(&tbs);
  for (size_t n = 64; n <= 65; n++) {
    char cn[65];
    memset(cn, 'x', sizeof cn);
    ca.common_name = slice_of(cn, n);
    tbs = buf_heap(LIM_CERT_DER);
    assert_int_equal(ca_tbs_emit(&ca, cas[0].key, &tbs, &e).code, n == 64 ? RC_OK : RC_INVALID);
    buf_fini(&tbs);
  }
}

static void serials(void **state)
{
  bool low = false, high = false;
  for (int i = 0; i < 4000; i++) {
    uint8_t s[EMIT_SERIAL];
    emit_serial(&rng, s);
    assert_in_range(s[0], 1, 0x7f);
    low |= s[0] == 1;
    high |= s[0] == 0x7f;
  }
  assert_true(low && high);
}

static void validity(void **state)
{
  enum { DAY = 86400 };
  const us_t ca_from = us_add_s(NOW, -1000 * INT64_C(86400)), ca_to = us_add_s(NOW, 1000 * INT64_C(86400));
  const struct {
    int64_t lifetime_s, ceiling_s;
    us_t ca_from, ca_to;
    int64_t from, to; /* seconds from now */
    const char *reason;
  } v[] = {
    {90 * DAY, 398 * DAY, ca_from, ca_to, -300, 90 * DAY, NULL},
    {600, 0, ca_from, ca_to, -60, 600, NULL},            /* a tenth */
    {3000, 0, ca_from, ca_to, -300, 3000, NULL},         /* both alike */
    {9, 0, ca_from, ca_to, 0, 9, NULL},
    {1, 1, ca_from, ca_to, 0, 0, NULL},
    {398 * DAY, 398 * DAY, ca_from, ca_to, -300, 398 * DAY - 301, NULL}, /* the ceiling counts both ends */
    {500 * DAY, 398 * DAY, ca_from, ca_to, -300, 398 * DAY - 301, NULL},
    {2000 * INT64_C(86400), 0, ca_from, ca_to, -300, 1000 * DAY, NULL},  /* not after the CA */
    {90 * DAY, 0, us_add_s(NOW, -10), ca_to, -10, 90 * DAY, NULL},       /* not before the CA */
    {90 * DAY, 0, us_add_s(NOW, 1), ca_to, 0, 0, "ca_not_valid"},
    {90 * DAY, 0, ca_from, us_add_s(NOW, -1), 0, 0, "ca_expired"},
    {0, 0, ca_from, ca_to, 0, 0, "lifetime"},
    {36600 * INT64_C(86400), 0, ca_from, ca_to, -300, 1000 * DAY, NULL},
    {36600 * INT64_C(86400) + 1, 0, ca_from, ca_to, 0, 0, "lifetime"},
    {-5, 0, ca_from, ca_to, 0, 0, "lifetime"},
    {INT64_MAX, 0, ca_from, ca_to, 0, 0, "lifetime"},
  };
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    us_t from = {0}, to = {0};
    err_t e = {0};
    leaf_life_t life = {{NOW.us + 999999}, v[i].lifetime_s, v[i].ceiling_s, v[i].ca_from, v[i].ca_to};
    rc_t r = leaf_validity(&life, &from, &to, &e);
    if (v[i].reason) {
      assert_true(rc_is(r, RC_INVALID));
      assert_string_equal(e.reason, v[i].reason);
      assert_int_equal(from.us, 0);
    } else {
      assert_true(rc_ok(r));
      assert_int_equal((from.us - NOW.us) / US_PER_S, v[i].from);
      assert_int_equal((to.us - NOW.us) / US_PER_S, v[i].to);
      assert_int_equal(to.us % US_PER_S, 0);
    }
  }
}

/* Times on both sides of 2050 (RFC 5280 4.1.2.5). */
static void times_beyond_2049(void **state)
{
  static const char *const name[] = {"www.example.com"};
  leaf_spec_t s = spec_of(&cas[0], leaf_keys[0]);
  s.names = names(name, 1);
  s.not_after = (us_t){INT64_C(2524608000) * US_PER_S};
  buf_t der;
  cert_t c;
  X509 *x = leaf(&s, &cas[0], &der);
  assert_true(rc_ok(cert_parse(arena, buf_slice(&der), &c, NULL)));
  assert_int_equal(c.not_after_tag, DER_GENERALIZED_TIME);
  assert_int_equal(c.not_before_tag, DER_UTC_TIME);
  assert_int_equal(c.not_after.us, s.not_after.us);
  X509_free(x);
  buf_fini(&der);

  s.not_before = s.not_after; /* one second, both ends in the new form */
  x = leaf(&s, &cas[0], &der);
  assert_true(rc_ok(cert_parse(arena, buf_slice(&der), &c, NULL)));
  assert_int_equal(c.not_before_tag, DER_GENERALIZED_TIME);
  X509_free(x);
  buf_fini(&der);
  s.not_before = s.not_after = us_add_s(s.not_after, -1);
  x = leaf(&s, &cas[0], &der);
  assert_true(rc_ok(cert_parse(arena, buf_slice(&der), &c, NULL)));
  assert_int_equal(c.not_after_tag, DER_UTC_TIME);
  X509_free(x);
  buf_fini(&der);
}

/* Failing each allocation in turn ends in RC_NOMEM with a name. */
static void out_of_memory(void **state)
{
  static const char *const name[] = {"www.example.com"};
  leaf_spec_t s = spec_of(&cas[0], leaf_keys[0]);
  s.names = names(name, 1);
  bool done = false;
  for (long nth = 0; !done; nth++) {
    buf_t tbs = buf_heap(LIM_CERT_DER);
    err_t e = {0};
    mem_fail_after(nth);
    rc_t r = leaf_tbs_emit(&s, &tbs, &e);
    mem_fail_after(-1);
    done = rc_ok(r);
    if (!done) {
      assert_true(rc_is(r, RC_NOMEM));
      assert_string_equal(e.reason, "certificate_size");
    }
    buf_fini(&tbs);
    assert_true(nth < 50);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_key_under_each_ca), cmocka_unit_test(fields_are_those_of_the_spec),
    cmocka_unit_test(ca_fields),              cmocka_unit_test(key_identifier),
    cmocka_unit_test(usages),                 cmocka_unit_test(common_names),
    cmocka_unit_test(must_staple),    cmocka_unit_test(many_long_names),
    cmocka_unit_test(bad_specs),              cmocka_unit_test(serials),
    cmocka_unit_test(validity),               cmocka_unit_test(times_beyond_2049),
    cmocka_unit_test(out_of_memory),          cmocka_unit_test(whatever_is_emitted_passes_lint),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}

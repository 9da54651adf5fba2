#include "x509/emit.h"

#include "base/check.h"
#include "crypto/hash.h"
#include "wire/der.h"
#include "x509/ext.h"
#include "x509/oid.h"

/* ---- extensions ---- */

typedef struct ext_mark {
  size_t ext, value;
} ext_mark_t;

/* Opens one extension up to the inside of extnValue (RFC 5280 4.2). */
static ext_mark_t ext_open(buf_t *b, oid_t id, bool critical)
{
  ext_mark_t m = {.ext = der_open(b, DER_SEQUENCE)};
  der_put_oid(b, oid_der(id));
  if (critical) der_put_bool(b, true); /* DEFAULT FALSE is left out, X.690 11.5 */
  m.value = der_open(b, DER_OCTETS);
  return m;
}

static void ext_close(buf_t *b, ext_mark_t m)
{
  der_close(b, m.value);
  der_close(b, m.ext);
}

static void put_key_usage(buf_t *b, uint32_t bits)
{
  ext_mark_t m = ext_open(b, OID_KEY_USAGE, true);
  der_put_named_bits(b, bits);
  ext_close(b, m);
}

static void put_ski(buf_t *b, const uint8_t id[EMIT_KEY_ID])
{
  ext_mark_t m = ext_open(b, OID_SUBJECT_KEY_ID, false);
  der_put_octets(b, slice_of(id, EMIT_KEY_ID));
  ext_close(b, m);
}

static void put_aki(buf_t *b, slice_t id)
{
  ext_mark_t m = ext_open(b, OID_AUTHORITY_KEY_ID, false);
  size_t seq = der_open(b, DER_SEQUENCE);
  der_put(b, DER_CTX(0), id);
  der_close(b, seq);
  ext_close(b, m);
}

void emit_names(buf_t *b, names_t names)
{
  size_t seq = der_open(b, DER_SEQUENCE);
  for (size_t i = 0; i < names.n; i++) der_put(b, DER_CTX(names.v[i].kind), names.v[i].bytes);
  der_close(b, seq);
}

static void put_san(buf_t *b, names_t names, bool critical)
{
  ext_mark_t m = ext_open(b, OID_SUBJECT_ALT_NAME, critical);
  emit_names(b, names);
  ext_close(b, m);
}

/* ---- extended key usage ---- */

enum { EKU_MAX = 16 }; /* as many as oid_eku knows, each once */

/* What the list of names comes to. */
typedef struct usages {
  oid_t v[EKU_MAX]; /* in order, each once */
  size_t n;
  bool tls, email, stamping;
  bool ocsp_no_check; /* named in profiles like a usage, but an extension of its own (RFC 6960 4.2.2.2.1) */
} usages_t;

static void usages_add(usages_t *u, oid_t id)
{
  for (size_t i = 0; i < u->n; i++)
    if (u->v[i] == id) return;
  CHECK(u->n < EKU_MAX);
  u->v[u->n++] = id;
  u->tls |= id == OID_SERVER_AUTH || id == OID_CLIENT_AUTH;
  u->email |= id == OID_EMAIL_PROTECTION;
  u->stamping |= id == OID_TIME_STAMPING;
}

static rc_t usages_from(texts_t names, usages_t *u, err_t *e)
{
  *u = (usages_t){0};
  if (names.n == 0) {
    usages_add(u, OID_SERVER_AUTH);
    usages_add(u, OID_CLIENT_AUTH);
    return rc(RC_OK);
  }
  for (size_t i = 0; i < names.n; i++) {
    oid_t id = oid_eku(names.v[i]);
    if (id == OID_UNKNOWN)
      return err_quote(e, RC_INVALID, "eku_unknown", "ekus", "names no extended key usage", names.v[i]);
    if (id == OID_OCSP_NO_CHECK)
      u->ocsp_no_check = true;
    else
      usages_add(u, id);
  }
  if (u->n == 0) return err_set(e, RC_INVALID, "eku_missing", "ekus", "has no extended key usage");
  if (u->stamping && u->n > 1) return err_set(e, RC_INVALID, "eku_alone", "ekus", "timeStamping must stand alone");
  return rc(RC_OK);
}

static void put_ekus(buf_t *b, const usages_t *u)
{
  ext_mark_t m = ext_open(b, OID_EXT_KEY_USAGE, u->stamping);
  size_t seq = der_open(b, DER_SEQUENCE);
  for (size_t i = 0; i < u->n; i++) der_put_oid(b, oid_der(u->v[i]));
  der_close(b, seq);
  ext_close(b, m);
}

static uint32_t leaf_key_usage(const usages_t *u, key_kind_t kind)
{
  uint32_t bits = KU_DIGITAL_SIGNATURE;
  if (u->tls && kind == KEY_RSA) bits |= KU_KEY_ENCIPHERMENT; /* RSA key transport of TLS 1.2 */
  if (u->email) bits |= KU_CONTENT_COMMITMENT;
  return bits;
}

/* ---- fields in front of the extensions ---- */

/* version, serialNumber, signature. */
static void put_head(buf_t *b, slice_t serial, key_sigalg_t sigalg)
{
  size_t version = der_open(b, DER_CTX_CONS(0));
  der_put_int(b, 2); /* v3 */
  der_close(b, version);
  der_put_unsigned(b, serial);
  buf_put(b, sigalg_der(sigalg));
}

static void put_validity(buf_t *b, us_t from, us_t to)
{
  size_t seq = der_open(b, DER_SEQUENCE);
  der_put_time(b, from);
  der_put_time(b, to);
  der_close(b, seq);
}

void emit_cn(buf_t *b, slice_t cn)
{
  size_t name = der_open(b, DER_SEQUENCE);
  if (cn.n) {
    size_t rdn = der_open(b, DER_SET), pair = der_open(b, DER_SEQUENCE);
    der_put_oid(b, oid_der(OID_CN));
    der_put(b, DER_UTF8, cn);
    der_close(b, pair);
    der_close(b, rdn);
  }
  der_close(b, name);
}

static rc_t check_head(slice_t serial, us_t from, us_t to, err_t *e)
{
  if (serial.n != EMIT_SERIAL || serial.p[0] == 0 || serial.p[0] > 0x7f)
    return err_set(e, RC_INVALID, "serial", "serial", "is not a positive number of 20 octets");
  if (us_cmp(us_floor_s(from), us_floor_s(to)) > 0)
    return err_set(e, RC_INVALID, "validity", "not_after", "is before the beginning");
  return rc(RC_OK);
}

static rc_t check_cn(slice_t cn, err_t *e)
{
  bool ok = slice_utf8(cn);
  for (size_t i = 0; ok && i < cn.n; i++) ok = cn.p[i] >= 0x20 && cn.p[i] != 0x7f;
  if (ok) return rc(RC_OK);
  return err_quote(e, RC_INVALID, "common_name", "common_name", "has characters that a name cannot have", cn);
}

static rc_t emitted(const buf_t *b, err_t *e)
{
  rc_t r = buf_rc(b);
  return rc_ok(r) ? r : err_set(e, r.code, "certificate_size", NULL, "certificate is too large");
}

/* ---- leaf ---- */

static rc_t check_names(names_t names, bool subject, err_t *e)
{
  if (names.n == 0 && !subject) return err_set(e, RC_INVALID, "names_missing", "sans", "a certificate needs a name");
  if (names.n > LIM_CERT_NAMES)
    return err_limit(e, RC_FULL, "name_count", "sans", "has more than {limit} names", LIM_CERT_NAMES);
  for (size_t i = 0; i < names.n; i++)
    if (!name_kind_is_issued(names.v[i].kind))
      return err_set(e, RC_INVALID, "name_kind", "sans", "has a name of a kind that is not issued");
  return rc(RC_OK);
}

static void put_leaf_extensions(buf_t *b, const leaf_spec_t *s, const usages_t *u, const uint8_t ski[EMIT_KEY_ID],
                                bool subject)
{
  size_t tagged = der_open(b, DER_CTX_CONS(3)), seq = der_open(b, DER_SEQUENCE);
  put_key_usage(b, leaf_key_usage(u, s->key_kind));
  put_ekus(b, u);
  put_ski(b, ski);
  put_aki(b, s->issuer->key_id);
  if (s->names.n) put_san(b, s->names, !subject);
  if (s->must_staple) {
    ext_mark_t m = ext_open(b, OID_TLS_FEATURE, false);
    buf_put(b, S("\x30\x03\x02\x01\x05")); /* status_request, RFC 7633 4.1 */
    ext_close(b, m);
  }
  if (u->ocsp_no_check) {
    ext_mark_t m = ext_open(b, OID_OCSP_NO_CHECK, false);
    der_put_null(b);
    ext_close(b, m);
  }
  der_close(b, seq);
  der_close(b, tagged);
}

rc_t leaf_tbs_emit(const leaf_spec_t *s, buf_t *b, err_t *e)
{
  usages_t usages;
  uint8_t ski[EMIT_KEY_ID];
  TRY(check_head(s->serial, s->not_before, s->not_after, e));
  TRY(check_cn(s->common_name, e));
  bool subject = s->common_name.n && slice_utf8_len(s->common_name) <= LIM_COMMON_NAME;
  TRY(check_names(s->names, subject, e));
  TRY(usages_from(s->ekus, &usages, e));
  TRY(emit_key_id(s->spki, ski, e));

  size_t tbs = der_open(b, DER_SEQUENCE);
  put_head(b, s->serial, s->issuer->sigalg);
  buf_put(b, s->issuer->dn);
  put_validity(b, s->not_before, s->not_after);
  emit_cn(b, subject ? s->common_name : slice_of(NULL, 0));
  buf_put(b, s->spki);
  put_leaf_extensions(b, s, &usages, ski, subject);
  der_close(b, tbs);
  return emitted(b, e);
}

/* ---- CA ---- */

static void put_ca_extensions(buf_t *b, int32_t path_len, const uint8_t ski[EMIT_KEY_ID])
{
  size_t tagged = der_open(b, DER_CTX_CONS(3)), seq = der_open(b, DER_SEQUENCE);
  ext_mark_t m = ext_open(b, OID_BASIC_CONSTRAINTS, true);
  size_t basic = der_open(b, DER_SEQUENCE);
  der_put_bool(b, true);
  if (path_len >= 0) der_put_int(b, path_len);
  der_close(b, basic);
  ext_close(b, m);
  put_key_usage(b, KU_CERT_SIGN | KU_CRL_SIGN);
  put_ski(b, ski);
  der_close(b, seq);
  der_close(b, tagged);
}

rc_t ca_tbs_emit(const ca_spec_t *s, const sigkey_t *key, buf_t *b, err_t *e)
{
  uint8_t ski[EMIT_KEY_ID];
  TRY(check_head(s->serial, s->not_before, s->not_after, e));
  TRY(check_cn(s->common_name, e));
  if (s->common_name.n == 0 || slice_utf8_len(s->common_name) > LIM_COMMON_NAME)
    return err_limit(e, RC_INVALID, "common_name", "ca_common_name", "must have 1 to {limit} characters",
                     LIM_COMMON_NAME);
  TRY(emit_key_id(key_spki(key), ski, e));

  size_t tbs = der_open(b, DER_SEQUENCE);
  put_head(b, s->serial, key_sigalg(key));
  emit_cn(b, s->common_name);
  put_validity(b, s->not_before, s->not_after);
  emit_cn(b, s->common_name);
  buf_put(b, key_spki(key));
  put_ca_extensions(b, s->path_len, ski);
  der_close(b, tbs);
  return emitted(b, e);
}

/* ---- signature ---- */

rc_t cert_sign(slice_t tbs, sigkey_t *key, buf_t *der)
{
  uint8_t sig[KEY_SIG_MAX];
  size_t n = 0;
  TRY(key_sign(key, tbs, sig, &n));
  size_t cert = der_open(der, DER_SEQUENCE);
  buf_put(der, tbs);
  buf_put(der, sigalg_der(key_sigalg(key)));
  der_put_bits(der, slice_of(sig, n), 0);
  der_close(der, cert);
  return buf_rc(der);
}

/* ---- values ---- */

void emit_serial(const rng_t *rng, uint8_t ret_serial[EMIT_SERIAL])
{
  rng_fill(rng, ret_serial, EMIT_SERIAL);
  ret_serial[0] = (uint8_t)(1 + rng_below(rng, 0x7f));
}

rc_t emit_key_id(slice_t spki, uint8_t ret_id[EMIT_KEY_ID], err_t *e)
{
  der_t r;
  uint8_t digest[SHA256_LEN];
  der_init(&r, spki);
  der_enter(&r, DER_SEQUENCE);
  der_raw(&r, DER_SEQUENCE);
  slice_t bits = der_bits(&r, NULL);
  der_leave(&r);
  TRY(der_end(&r, e));
  sha256(bits, digest);
  memcpy(ret_id, digest, EMIT_KEY_ID);
  return rc(RC_OK);
}

rc_t leaf_validity(const leaf_life_t *life, us_t *ret_not_before, us_t *ret_not_after, err_t *e)
{
  static const int64_t most_s = INT64_C(100) * 366 * 86400; /* keeps the sums far from overflow */
  if (life->lifetime_s < 1 || life->lifetime_s > most_s)
    return err_set(e, RC_INVALID, "lifetime", "lifetime_s", "must be from one second to a hundred years");
  us_t now = us_floor_s(life->now);
  int64_t span_s = life->ceiling_s > 0 && life->ceiling_s < life->lifetime_s ? life->ceiling_s : life->lifetime_s;
  int64_t back_s = span_s / 10;
  if (back_s > EMIT_BACKDATE_S) back_s = EMIT_BACKDATE_S;
  us_t from = us_max(us_add_s(now, -back_s), us_floor_s(life->ca_not_before));
  us_t to = us_min(us_add_s(now, life->lifetime_s), us_floor_s(life->ca_not_after));
  if (us_cmp(from, now) > 0) return err_set(e, RC_INVALID, "ca_not_valid", NULL, "the CA certificate is not valid yet");
  /* Both ends belong to the validity (RFC 5280 4.1.2.5), hence the second less. */
  if (life->ceiling_s > 0) to = us_min(to, us_add_s(from, life->ceiling_s - 1));
  if (us_cmp(to, now) < 0) return err_set(e, RC_INVALID, "ca_expired", NULL, "the CA certificate has ended");
  *ret_not_before = from;
  *ret_not_after = to;
  return rc(RC_OK);
}
